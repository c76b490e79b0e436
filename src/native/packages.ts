/** The packages that hold native parts. */
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Platform } from './platform.ts';

export interface PlatformPackage {
  readonly name: string;
  readonly platform: Platform;
  readonly version: string;
  readonly folder: string;
}

/** What there are packages for, of this version. */
export function preparedPlatforms(): Platform[] {
  const { optionalDependencies = {} }: Manifest = require('../../package.json');
  return Object.keys(optionalDependencies)
    .map(platformOf)
    .filter((platform) => platform !== null);
}

/** Those in the folders where Node looks for them: of each name the one that it would find. */
export function installedPackages(): PlatformPackage[] {
  const found = new Map<string, PlatformPackage>();
  for (const folder of require.resolve.paths(SCOPE) ?? []) {
    for (const each of packagesIn(join(folder, SCOPE))) {
      if (!found.has(each.name)) found.set(each.name, each);
    }
  }
  return [...found.values()];
}

const require = createRequire(import.meta.url);
const SCOPE = '@ttun';

interface Manifest {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function platformOf(name: string): Platform | null {
  const { cpu, abi } = /^@ttun\/binding-linux-(?<cpu>[a-z0-9]+)-(?<abi>gnu|musl)/.exec(name)?.groups ?? {};
  return cpu === undefined ? null : { cpu, libc: abi === 'musl' ? 'musl' : 'glibc' };
}

function packagesIn(scope: string): PlatformPackage[] {
  return entriesOf(scope).flatMap((entry) => {
    const [name, folder] = [`${SCOPE}/${entry}`, join(scope, entry)];
    const platform = platformOf(name);
    const version = versionIn(folder);
    return platform === null || version === null ? [] : [{ name, platform, version, folder }];
  });
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** `null` where there is no package, or an empty one in its place. */
function versionIn(folder: string): string | null {
  try {
    const { version }: Partial<Manifest> = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return version ?? null;
  } catch {
    return null;
  }
}
