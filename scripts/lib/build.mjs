import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.mjs';

/** Where npm writes down what it has installed. */
const installed = join(root, 'node_modules', '.package-lock.json');
const wanted = join(root, 'package-lock.json');

/**
 * Installs the npm packages, unless that has been done since package-lock.json last changed. Not by `npm ci`: the lockfile leaves out
 * the optional packages of other platforms, which `npm ci` takes for a mistake.
 */
export function ensureDependencies() {
  if (modifiedAt(installed) >= modifiedAt(wanted)) return;
  run('npm', ['install', '--no-save']);
  // npm leaves its own list alone where nothing had to change.
  const now = new Date();
  utimesSync(installed, now, now);
}

/**
 * Builds the native part and the TypeScript; what is up to date takes a second or two.
 *
 * @param environment what the native part should know of its build, besides what the compiler knows
 */
export function build(environment = {}) {
  run('npm', ['run', '--silent', 'build:native'], environment);
  run('npm', ['run', '--silent', 'build:ts']);
}

/** ms since the epoch; 0 when there is no such file. */
function modifiedAt(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? stats.mtimeMs : 0;
}
