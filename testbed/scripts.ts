/**
 * TypeScript programs of the test bed, compiled to one file each: they start several times as fast as programs that Node
 * compiles on import, and a run of all tests starts more than a thousand.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** By source. Sources are compiled again in each process, so none is ever out of date. */
const compiled = new Map<string, string>();
let folder: string | undefined;

/** Path of a file that Node runs as it is. It exists until this process exits. */
export function compileScript(source: URL): string {
  const path = fileURLToPath(source);
  const outfile = compiled.get(path) ?? join(makeFolder(), `${compiled.size}-${basename(path, '.ts')}.mjs`);
  if (!compiled.has(path)) {
    buildSync({
      entryPoints: [path],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
    });
    compiled.set(path, outfile);
  }
  return outfile;
}

/** With the native part, which bundles of ttun look for next to themselves. Unprivileged users run programs in it. */
function makeFolder(): string {
  if (folder !== undefined) return folder;
  const made = mkdtempSync(join(tmpdir(), 'ttun-testbed-'));
  process.once('exit', () => rmSync(made, { recursive: true }));
  chmodSync(made, 0o755);
  for (const name of readdirSync(ROOT).filter((each) => /^ttun\..*\.node$/.test(each)))
    symlinkSync(join(ROOT, name), join(made, name));
  folder = made;
  return made;
}
