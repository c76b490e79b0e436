import { readFileSync } from 'node:fs';

/**
 * Names of the packages that are installed with ttun: its dependencies, and theirs.
 *
 * @returns {string[]}
 */
export function runtimeDependencies() {
  const lockfile = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
  /** @type {{ packages: Record<string, Record<string, unknown>> }} */
  const { packages } = JSON.parse(lockfile);
  return Object.entries(packages)
    .filter(([path, { dev, devOptional, optional }]) => path !== '' && !(dev || devOptional || optional))
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
}
