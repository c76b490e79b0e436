import { endIfTerminalIsGone, listenForInterruption } from './interruption.ts';
import { labHelp, parseLabOptions } from './options.ts';
import type { LabOptions } from './options.ts';
import { findGround } from './requirements.ts';
import { playLab } from './scenario.ts';
import { describeTakenNames } from './taken-names.ts';
import { playInUserNamespace } from './user-namespace.ts';

/**
 * `ttun lab`: the two-site experiment on one machine.
 *
 * @param args what follows `lab` on the command line
 * @returns the exit code
 */
export async function runLab(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (!options) return 2;
  if (options.help) {
    process.stdout.write(labHelp);
    return 0;
  }
  const { mode, missing } = findGround();
  if (mode === null) return refuse(missing);
  // In a user namespace of its own, the lab sees no names but its own.
  if (mode === 'root') {
    const taken = describeTakenNames();
    if (taken.length > 0) return refuse(taken);
  }
  const { signal, stopListening } = listenForInterruption();
  try {
    return await (mode === 'root' ? playLab(options, mode, signal) : playInUserNamespace(args, signal));
  } finally {
    stopListening();
    endIfTerminalIsGone(signal);
  }
}

function readOptions(args: string[]): LabOptions | null {
  try {
    return parseLabOptions(args);
  } catch (error) {
    process.stderr.write(
      `ttun lab: ${error instanceof Error ? error.message : String(error)}\nTry: ttun lab --help\n`,
    );
    return null;
  }
}

function refuse(reasons: string[]): number {
  for (const reason of reasons) process.stderr.write(`ttun lab: ${reason}\n`);
  return 1;
}
