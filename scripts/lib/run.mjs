import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** An error for the user; the message has the problem and the command to type. */
export class Stop extends Error {}

/** Runs the work of a script, which returns the exit code. A `Stop` is printed without its stack. */
export async function runScript(work) {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`\n✗ ${error.message}`);
    process.exitCode = 1;
  }
}

/** Runs a command in the root of the checkout, with its output visible, and waits for it. */
export function run(file, args, environment = {}) {
  const command = [file, ...args].join(' ');
  console.log(`\n$ ${command}`);
  const { status, signal, error } = spawnSync(file, args, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
  if (error) throw new Stop(`\`${file}\` could not be started: ${error.message}`);
  if (status !== 0) throw new Stop(`\`${command}\` failed (${signal || `exit code ${status}`})`);
}

/**
 * Runs a program and passes signals on to it, so that it can clean up when it is interrupted.
 *
 * @returns {Promise<number>} its exit code
 */
export function handOver(file, args, environment = {}) {
  const child = spawn(file, args, { env: { ...process.env, ...environment }, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : code));
  });
}

/** The output of a command, or null if it fails. */
export function outputOf(file, args) {
  const { status, stdout } = spawnSync(file, args, { cwd: root, encoding: 'utf8', maxBuffer: Infinity });
  return status === 0 ? stdout.trim() : null;
}
