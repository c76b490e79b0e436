/**
 * npm run docs: writes docs/api.md from the comments in the sources. Missing documentation and broken links are errors. With
 * `-- --check` the file is only compared.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run, runScript, Stop } from './lib/run.mjs';
import { ensureDependencies, ensureTool } from './lib/setup.mjs';

const page = join(root, 'docs', 'api.md');

await runScript(() => {
  ensureDependencies();
  const folder = ensureTool('api-docs');
  const out = mkdtempSync(join(tmpdir(), 'ttun-docs-'));
  try {
    const typedoc = join(folder, 'node_modules', 'typedoc', 'bin', 'typedoc');
    run('node', [typedoc, '--options', join(folder, 'typedoc.json'), '--out', out]);
    // Links of the introduction are relative to docs/, so typedoc could not follow them.
    const [title, ...reference] = readFileSync(join(out, 'api.md'), 'utf8').split('\n');
    const introduction = readFileSync(join(folder, 'intro.md'), 'utf8').trimEnd();
    const text = [title, '', introduction, ...reference].join('\n');
    if (!process.argv.includes('--check')) writeFileSync(page, text);
    else if (text !== readFileSync(page, 'utf8')) {
      throw new Stop('docs/api.md differs from the comments in the sources: npm run docs');
    }
  } finally {
    rmSync(out, { recursive: true });
  }
  return 0;
});
