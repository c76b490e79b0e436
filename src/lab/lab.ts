import { constants } from 'node:os';
import { endByHangUp } from '../cli/terminal.ts';
import type { Caretaker } from './caretaker.ts';
import type { Commands } from './commands.ts';
import type { Findings, Story } from './story.ts';
import type { TunnelProcess } from './tunnels.ts';

/** Where the lab runs: on the machine itself, or in a user namespace of its own. */
export type LabMode = 'root' | 'user-namespace';

/** A running lab: what its steps share. */
export interface Lab {
  mode: LabMode;
  /** Whether its findings are for a program: then ttun is asked for its counters, and prints no packets. */
  json: boolean;
  story: Story;
  commands: Commands;
  findings: Findings;
  /** Aborts when the lab is to stop, with the reason. */
  signal: AbortSignal;
  /** Makes the lab stop because of something that happened outside the step at work. */
  fail: (failure: LabFailure) => void;
  caretaker: Caretaker;
  /** The namespaces that this lab made and has not removed yet, by name, with what tells them from others of that name. */
  namespaces: Map<string, number>;
  /** The ttun processes that it started, until they are told to end. */
  tunnels: TunnelProcess[];
}

export interface LabOptions {
  /** Leave everything up until Ctrl-C. */
  readonly keep: boolean;
  /** One JSON document on stdout, the talk on stderr. */
  readonly json: boolean;
}

/** Something that the lab expected did not happen; the message is one line for the user. */
export class LabFailure extends Error {
  override readonly name = 'LabFailure';
}

/** The user, or the system, asked the lab to stop. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly signal: NodeJS.Signals;
  /** What a shell reports for a program ended by this signal. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.exitCode = 128 + constants.signals[signal];
  }
}

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
