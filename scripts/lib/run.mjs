import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Stop } from './stop.mjs';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a command in the root of the checkout, its output visible, and waits for it. */
export function run(file, args, environment = {}) {
  console.log(`\n$ ${[file, ...args].join(' ')}`);
  const { status, signal, error } = spawnSync(file, args, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
  if (error) throw new Stop(`\`${file}\` could not be started: ${error.message}`);
  if (status !== 0)
    throw new Stop(`\`${[file, ...args].join(' ')}\` failed (${signal || `exit code ${status}`})`);
}

/**
 * Hands over to a program, signals included, so that it can tidy up when it is asked to stop.
 *
 * @returns {Promise<number>} the exit code
 */
export function handOver(file, args, environment = {}) {
  const child = spawn(file, args, { env: { ...process.env, ...environment }, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : code));
  });
}

/** What a command prints, or null when it can't be run. */
export function outputOf(file, args) {
  const { status, stdout } = spawnSync(file, args, { cwd: root, encoding: 'utf8', maxBuffer: Infinity });
  return status === 0 ? stdout.trim() : null;
}
