import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** How this package came to be where it is, as far as the folders round it tell. */
export interface Installation {
  readonly kind: 'checkout' | 'npm' | 'npm-global' | 'pnpm' | 'pnpm-global' | 'yarn' | 'yarn-classic';
  /** The checkout; the folder that the node_modules are in; for npm-global, what npm calls the prefix. */
  readonly folder: string;
}

/** @param root folder of the package, without links in its path */
export function findInstallation(root: string): Installation {
  if (existsSync(join(root, 'crates'))) return { kind: 'checkout', folder: root };
  // Packages are in archives then, which need not be near the program.
  if (Object.hasOwn(process.versions, 'pnp')) return { kind: 'yarn', folder: process.cwd() };
  const { folder, store } = LAYOUT.exec(root)?.groups ?? {};
  if (folder === undefined) return { kind: 'npm', folder: root };
  if (store === '.pnpm') return { kind: 'pnpm-global', folder };
  if (store === 'node_modules/.pnpm') return { kind: 'pnpm', folder };
  if (store === 'node_modules/.store') return { kind: 'yarn', folder };
  return findByTraces(folder);
}

/** Whose node_modules the package is in, and how it is kept there. */
const LAYOUT = /^(?<folder>.*?)\/(?<store>\.pnpm|node_modules\/\.pnpm|node_modules\/\.store|node_modules)\//;

function findByTraces(folder: string): Installation {
  const has = (name: string): boolean => existsSync(join(folder, name));
  if (has('node_modules/.yarn-state.yml')) return { kind: 'yarn', folder };
  if (has('node_modules/.yarn-integrity')) return { kind: 'yarn-classic', folder };
  if (basename(folder) === 'lib' && !has('package.json')) {
    return { kind: 'npm-global', folder: dirname(folder) };
  }
  return { kind: 'npm', folder };
}
