/** Requests to stop the lab: signals, a terminal that is gone, output that no program reads. */
import { constants } from 'node:os';
import { endByHangUp } from '../terminal.ts';

/** The user or the system asked the lab to stop. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly signal: NodeJS.Signals;
  /** The exit code that a shell reports for a program ended by this signal. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.exitCode = 128 + constants.signals[signal];
  }
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Turns every request to stop into one abort signal, so that the lab always removes everything it created. Further requests during the removal change
 * nothing: removal takes well under a second.
 */
export function listenForInterruption(): { signal: AbortSignal; stopListening: () => void } {
  const controller = new AbortController();
  const stopBy = (signal: NodeJS.Signals) => controller.abort(new Interruption(signal));
  // EPIPE: the reader has gone (`ttun lab | head`); any other error: the terminal has.
  const onOutputLost = (error: NodeJS.ErrnoException) =>
    stopBy(error.code === 'EPIPE' ? 'SIGPIPE' : 'SIGHUP');
  const onParentLost = () => stopBy('SIGHUP');

  for (const signal of SIGNALS) process.on(signal, stopBy);
  process.stdout.on('error', onOutputLost);
  process.stderr.on('error', onOutputLost);
  // In a user namespace the lab is a child process, whose parent may be killed.
  process.on('disconnect', onParentLost);

  return {
    signal: controller.signal,
    stopListening: () => {
      for (const signal of SIGNALS) process.off(signal, stopBy);
      process.off('disconnect', onParentLost);
    },
  };
}

/** Call it after clean-up, when no signal handler is left. */
export function endIfTerminalIsGone(interruption: AbortSignal): void {
  if (interruption.reason instanceof Interruption && interruption.reason.signal === 'SIGHUP') endByHangUp();
}
