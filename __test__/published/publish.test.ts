import { fileURLToPath } from 'node:url';
import test from 'ava';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { run } from '../../testbed/exec.ts';
import { REGISTRY } from './runtimes.ts';

const PUBLISH = fileURLToPath(new URL('../../scripts/publish.mjs', import.meta.url));
const PACKED = fileURLToPath(new URL('../../packed', import.meta.url));

test('publishing again publishes nothing, and ttun itself comes last', async (t) => {
  const again = [process.execPath, PUBLISH, PACKED, '--registry', REGISTRY];
  const { stdout } = await run(again, { timeoutMs: 120_000 });
  const names = stdout.split('\n').map((line) => /^(\S+) \S+ is already published$/.exec(line)?.[1]);
  const expected = [...PLATFORMS.map(({ name }) => `@ttun/binding-${name}`).toSorted(), 'ttun'];
  t.deepEqual(
    names.filter((name) => name !== undefined),
    expected,
  );
});
