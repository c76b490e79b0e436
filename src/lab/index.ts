import { endIfTerminalIsGone, listenForInterruption } from './interruption.ts';
import type { LabOptions } from './options.ts';
import { findGround } from './requirements.ts';
import { playLab } from './scenario.ts';
import { describeTakenNames } from './taken-names.ts';
import { playInUserNamespace } from './user-namespace.ts';

/**
 * `ttun lab`: the two-site experiment on one machine.
 *
 * @returns the exit code
 */
export async function runLab(options: LabOptions): Promise<number> {
  const { mode, missing } = await findGround();
  if (mode === null) return refuse(missing);
  // In a user namespace of its own, the lab sees no names but its own.
  if (mode === 'root') {
    const taken = describeTakenNames();
    if (taken.length > 0) return refuse(taken);
  }
  const { signal, stopListening } = listenForInterruption();
  try {
    return await (mode === 'root' ? playLab(options, mode, signal) : playInUserNamespace(options, signal));
  } finally {
    stopListening();
    endIfTerminalIsGone(signal);
  }
}

function refuse(reasons: string[]): number {
  for (const reason of reasons) process.stderr.write(`ttun lab: ${reason}\n`);
  return 1;
}
