/** What `npm install` has to be told, so that it adds a native part and leaves the rest as it is. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { packageVersion } from '../package-version.ts';

export interface Order {
  /** Folder of the package ttun. */
  readonly root: string;
  /** Name of the package that is missing. */
  readonly name: string;
  /** Options that tell npm which platform this is, where it seems to have taken it for another. */
  readonly platformOptions: readonly string[];
}

/** @param folder where the program is that has ttun among its packages */
export function argumentsInProject(folder: string, { root, name, platformOptions }: Order): string[] {
  const options = [...platformOptions, WITH_OPTIONAL];
  // Unpacked somewhere, or among the packages of another package.
  if (root !== join(folder, 'node_modules', 'ttun')) return options;
  const wanted = wantedIn(folder);
  if (/^file:.*\.tgz$/.test(wanted)) return ['--save-optional', besideTarball(folder, wanted, name)];
  if (/[:/]/.test(wanted)) return options;
  // Unless the package is named, older versions of npm add nothing that the lockfile lacks.
  return [...waysToSave(wanted), ...options, `ttun@${packageVersion()}`];
}

/** @param prefix npm's setting of this name: packages are in its lib/node_modules */
export function argumentsForAll(prefix: string, { root, platformOptions }: Order): string[] {
  const modules = join(prefix, 'lib', 'node_modules');
  // That of Node itself is npm's own choice.
  const prefixOption = prefix === dirname(dirname(process.execPath)) ? [] : ['--prefix', prefix];
  return [...prefixOption, ...platformOptions, WITH_OPTIONAL, installedBy(modules, root)];
}

/** Settings may leave these packages out. */
const WITH_OPTIONAL = '--include=optional';

/** What package.json asks for: a range of versions, a path, a URL; empty where somebody else asks for ttun. */
function wantedIn(folder: string): string {
  const { dependencies, devDependencies, optionalDependencies } = manifestIn(folder);
  const all = { ...devDependencies, ...dependencies, ...optionalDependencies };
  return all['ttun'] ?? '';
}

/** How package.json stays as it is, or as npm would have written it. */
function waysToSave(wanted: string): string[] {
  if (wanted === '') return ['--no-save'];
  return /^\d+\.\d+\.\d+\S*$/.test(wanted) ? ['--save-exact'] : [];
}

/** The tarball of another package that `npm run pack` made together with ours. */
function besideTarball(folder: string, wanted: string, name: string): string {
  const file = `${name.replace('@', '').replace('/', '-')}-${packageVersion()}.tgz`;
  return join(dirname(resolve(folder, wanted.slice('file:'.length))), file);
}

/** The package that was asked for, which may have ttun among its own. */
function installedBy(modules: string, root: string): string {
  const [first = '', second = ''] = root.slice(modules.length + 1).split('/');
  const name = first.startsWith('@') ? `${first}/${second}` : first;
  return `${name}@${manifestIn(join(modules, name)).version}`;
}

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function manifestIn(folder: string): Manifest {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch {
    return {};
  }
}
