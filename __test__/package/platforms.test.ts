import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { run } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the platforms that are built are those that npm is told of', async (t) => {
  const { napi }: { napi: { targets: string[] } } = await readManifest(ROOT);
  t.deepEqual(napi.targets.toSorted(), PLATFORMS.map(({ target }) => target).toSorted());
  const names = PLATFORMS.map(({ name }) => name);
  t.deepEqual((await readdir(join(ROOT, 'npm'))).toSorted(), names.toSorted());
});

test('the manifests of the platform packages are as napi makes them of package.json', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-manifests-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const napi = join(ROOT, 'node_modules', '.bin', 'napi');
  await run([napi, 'create-npm-dirs', '--cwd', folder]);
  for (const { name } of PLATFORMS) {
    const [ours, made] = [join(ROOT, 'npm', name), join(folder, 'npm', name)];
    t.deepEqual(await readManifest(ours), await readManifest(made), `${name}: type npx napi create-npm-dirs`);
  }
});

async function readManifest<T>(folder: string): Promise<T> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}
