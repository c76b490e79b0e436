/** The tarballs that were published, unpacked. */
import { mkdtemp, readFile, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { run } from '../../testbed/exec.ts';

const PACKED = fileURLToPath(new URL('../../packed/', import.meta.url));

export interface Tarball {
  readonly name: string;
  readonly path: string;
  /** The folder with its files. The caller removes it. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly files: readonly File[];
  /** Size of all files, in bytes. */
  readonly size: number;
}

export interface File {
  /** Path in the package. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly main?: string;
  readonly files: readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly man?: readonly string[];
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The package itself, and the native part for each platform. */
export async function unpackAll(): Promise<{ root: Tarball; platforms: ReadonlyMap<string, Tarball> }> {
  const root = await unpack('ttun-\\d');
  const platforms = await Promise.all(
    PLATFORMS.map(async ({ name }) => [name, await unpack(`ttun-binding-${name}-\\d`)] as const),
  );
  return { root, platforms: new Map(platforms) };
}

async function unpack(begin: string): Promise<Tarball> {
  const name = (await readdir(PACKED)).find((file) => new RegExp(`^${begin}`).test(file));
  if (name === undefined) throw new Error(`no tarball like ${begin} in ${PACKED}`);
  const folder = await mkdtemp(join(tmpdir(), 'ttun-tarball-'));
  const path = join(PACKED, name);
  await run(['tar', '-xf', path, '-C', folder, '--strip-components', '1']);
  const files = await filesIn(folder);
  const manifest: Manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  return { name, path, folder, manifest, files, size: sum(files.map((file) => file.size)) };
}

async function filesIn(folder: string): Promise<File[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map(async (path) => ({ name: path.slice(folder.length + 1), path, size: (await stat(path)).size })),
  );
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
