import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Interruption } from './failure.ts';
import type { LabOptions } from './options.ts';
import { unshareOptions } from './requirements.ts';

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
