import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, root, run } from './run.mjs';
import { installWhereAllowed, requireTool } from './tools.mjs';

/**
 * Installs what tools/<name>/requirements.txt lists, in an environment of Python's of its own.
 *
 * @returns {string} the folder of its programs
 */
export function ensurePythonTool(name) {
  const folder = join(root, 'tools', name);
  const environment = join(folder, 'downloaded');
  const requirements = readFileSync(join(folder, 'requirements.txt'), 'utf8');
  const installed = join(environment, 'installed.txt');
  if (!existsSync(installed) || readFileSync(installed, 'utf8') !== requirements) {
    requirePython();
    run('python3', ['-m', 'venv', '--clear', environment]);
    const pip = join(environment, 'bin', 'pip');
    run(pip, ['install', '--quiet', '--require-hashes', '--requirement', join(folder, 'requirements.txt')]);
    writeFileSync(installed, requirements);
  }
  return join(environment, 'bin');
}

/** Debian keeps what makes such environments in a package of its own. */
export function requirePython() {
  requireTool('python3', 'python3');
  if (outputOf('python3', ['-c', 'import ensurepip']) === null) installWhereAllowed(['python3-venv']);
}
