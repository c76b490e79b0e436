/**
 * npm run docs: makes docs/api.md from the comments of the sources. What is not documented, or refers to what is not there, is an
 * error. With `-- --check` the file stays as it is, and is an error if it should be another.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDependencies, ensureTool } from './lib/build.mjs';
import { root, run } from './lib/run.mjs';
import { runScript, Stop } from './lib/stop.mjs';

const page = join(root, 'docs', 'api.md');

await runScript(() => {
  ensureDependencies();
  const typedoc = ensureTool('api-docs');
  const folder = mkdtempSync(join(tmpdir(), 'ttun-docs-'));
  try {
    run('node', [
      join(typedoc, 'node_modules', 'typedoc', 'bin', 'typedoc'),
      '--options',
      join(typedoc, 'typedoc.json'),
      '--out',
      folder,
    ]);
    const made = withIntroduction(
      readFileSync(join(folder, 'api.md'), 'utf8'),
      readFileSync(join(typedoc, 'intro.md'), 'utf8'),
    );
    if (!process.argv.includes('--check')) writeFileSync(page, made);
    else if (made !== readFileSync(page, 'utf8')) {
      throw new Stop('docs/api.md is not what the sources say: npm run docs');
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return 0;
});

/** Puts the introduction below the title. Its links are seen from where the page will be, so typedoc could not follow them. */
function withIntroduction(reference, introduction) {
  const [title, ...rest] = reference.split('\n');
  return [title, '', introduction.trimEnd(), ...rest].join('\n');
}
