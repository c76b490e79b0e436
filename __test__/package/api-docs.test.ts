import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runToEnd } from '../../testbed/exec.ts';

const DOCS = fileURLToPath(new URL('../../scripts/docs.mjs', import.meta.url));

test('docs/api.md is generated from the sources, in which every public item is documented', async (t) => {
  const { status, stdout, stderr } = await runToEnd([process.execPath, DOCS, '--check'], {
    timeoutMs: 120_000,
  });
  t.is(status, 0, `${stdout}${stderr}`);
});
