import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { endIfTerminalIsGone, Interruption, listenForInterruption } from './lab.ts';
import type { LabOptions } from './lab.ts';
import { findGround, unshareOptions } from './requirements.ts';
import { playLab } from './scenario.ts';
import { describeTakenNames } from './sites.ts';

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

const program = fileURLToPath(new URL('./inside-user-namespace.js', import.meta.url));

/**
 * Runs the lab as a child inside a user namespace of its own, in which an ordinary user is root over a network and mounts of
 * their own.
 *
 * @returns the exit code
 */
export function playInUserNamespace(options: LabOptions, interruption: AbortSignal): Promise<number> {
  const argv = [...unshareOptions, process.execPath, program, JSON.stringify(options)];
  const child = spawn('unshare', argv, {
    // Ctrl-C reaches only this process, which passes it on; the channel tells the child when this process is gone.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  interruption.addEventListener('abort', () => {
    if (interruption.reason instanceof Interruption) child.kill(interruption.reason.signal);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}
