/** Imports between the folders of src point down only. Circles between files are a matter of the linter. */
import { readFile, readdir } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));

/** The folders that each folder may import from besides itself. All may import the files of src itself, '.'. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  '.': [],
  config: [],
  control: [],
  decode: [],
  http: [],
  lab: [],
  service: ['config', 'http'],
  doctor: ['config', 'control'],
  cli: ['config', 'control', 'decode', 'doctor', 'http', 'lab', 'service'],
};

/** What users start with: the command line, and the API, which includes configuration files. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = { 'bin.ts': ['cli'], 'index.ts': ['config'] };

test('imports point down, whether loaded at once or later', async (t) => {
  const files = (await readdir(SOURCES, { recursive: true })).filter((file) => file.endsWith('.ts'));
  t.deepEqual([...new Set(files.map(folderOf))].toSorted(), Object.keys(BELOW).toSorted());
  for (const file of files) {
    const folder = folderOf(file);
    const allowed = new Set(['.', folder, ...(BELOW[folder] ?? []), ...(ENTRIES[file] ?? [])]);
    const text = await readFile(join(SOURCES, file), 'utf8');
    for (const [, path = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)) {
      const imported = normalize(join(file, '..', path));
      t.true(allowed.has(folderOf(imported)), `${file} imports ${imported}`);
    }
  }
});

function folderOf(file: string): string {
  const [folder = '', ...rest] = file.split('/');
  return rest.length === 0 ? '.' : folder;
}
