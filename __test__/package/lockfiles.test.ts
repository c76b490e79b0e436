/** `npm ci` needs lockfiles that are complete, and anyone may install from a registry of their own. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface LockedPackage {
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

async function lockfiles(): Promise<{ file: string; text: string }[]> {
  const tools = await readdir(join(ROOT, 'tools'));
  const files = ['package-lock.json', ...tools.map((tool) => join('tools', tool, 'package-lock.json'))];
  const read = async (file: string) => ({
    file,
    text: await readFile(join(ROOT, file), 'utf8').catch(() => ''),
  });
  return (await Promise.all(files.map(read))).filter(({ text }) => text !== '');
}

test('lockfiles have an entry for every dependency, those for other platforms included', async (t) => {
  for (const { file, text } of await lockfiles()) {
    const { packages }: { packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(text);
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !foldersAbove(path).some((folder) => `${folder}node_modules/${name}` in packages))
        .map((name) => `${path} needs ${name}`),
    );
    t.deepEqual(missing, [], `${file}: npm install`);
  }
});

/** The folders in whose node_modules Node looks, for a package at a path of the lockfile: `node_modules/a/`, then the root. */
function foldersAbove(path: string): string[] {
  const names = path.split(/(?:^|\/)node_modules\//).slice(1);
  return [...names.keys(), names.length].map((depth) =>
    names
      .slice(0, depth)
      .map((name) => `node_modules/${name}/`)
      .join(''),
  );
}

test('lockfiles name no host', async (t) => {
  for (const { file, text } of await lockfiles()) {
    const { packages }: { packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(text);
    const resolved = Object.entries(packages).filter(([, { resolved: from }]) => from !== undefined);
    t.deepEqual(resolved, [], `${file}: omit-lockfile-registry-resolved=true belongs in .npmrc`);
  }
});
