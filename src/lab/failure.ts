import { constants } from 'node:os';

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
