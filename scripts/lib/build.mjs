import { statSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.mjs';

/** Installs the npm packages, unless that has been done since package-lock.json last changed. */
export function ensureDependencies() {
  ensureInstalled(root);
}

/**
 * Installs what a tool needs that stands apart, in tools/, as it asks for other versions than the rest.
 *
 * @returns {string} its folder
 */
export function ensureTool(name) {
  const folder = join(root, 'tools', name);
  ensureInstalled(folder);
  return folder;
}

function ensureInstalled(folder) {
  // Where npm writes down what it has installed.
  const installed = join(folder, 'node_modules', '.package-lock.json');
  if (modifiedAt(installed) >= modifiedAt(join(folder, 'package-lock.json'))) return;
  run('npm', ['ci', '--prefix', folder]);
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
