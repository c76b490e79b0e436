import { endByHangUp } from '../cli/hang-up.ts';
import { Interruption } from './failure.ts';

const ways: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Turns every way of being asked to stop into one abort signal, so that the lab always gets to remove what it made.
 * Asking again while it does so changes nothing: removal takes well under a second.
 */
export function listenForInterruption(): { signal: AbortSignal; stopListening: () => void } {
  const controller = new AbortController();
  const stopBy = (signal: NodeJS.Signals) => controller.abort(new Interruption(signal));
  // EPIPE is a reader that went away (`ttun lab | head`), anything else a terminal that did.
  const onOutputLost = (error: NodeJS.ErrnoException) =>
    stopBy(error.code === 'EPIPE' ? 'SIGPIPE' : 'SIGHUP');
  const onParentLost = () => stopBy('SIGHUP');

  for (const signal of ways) process.on(signal, stopBy);
  process.stdout.on('error', onOutputLost);
  process.stderr.on('error', onOutputLost);
  // Inside a user namespace the lab is a child; its parent may be killed without a chance to tell.
  process.on('disconnect', onParentLost);

  return {
    signal: controller.signal,
    stopListening: () => {
      for (const signal of ways) process.off(signal, stopBy);
      process.off('disconnect', onParentLost);
    },
  };
}

/** To be called when all is tidied up and nothing listens for signals any more. */
export function endIfTerminalIsGone(interruption: AbortSignal): void {
  if (interruption.reason instanceof Interruption && interruption.reason.signal === 'SIGHUP') endByHangUp();
}
