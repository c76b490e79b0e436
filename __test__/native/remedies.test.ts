/** The command that installs the native part, for each way in which ttun may have been installed. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { INSTALLED } from './installed.ts';
import { failure, newFolder, putTtun, ttun, writeManifest } from './layout.ts';

for (const { how, at, manifests = {}, traces = [], circumstances, command } of INSTALLED) {
  test(`installed ${how}`, async (t) => {
    const folder = await newFolder(t);
    await putTtun(join(folder, at));
    for (const [place, manifest] of Object.entries(manifests))
      await writeManifest(join(folder, place), manifest);
    for (const trace of traces) await writeFile(join(folder, trace), '');
    const { hint } = await failure(join(folder, at), { cwd: folder, cpu: 'x64', ...circumstances?.(folder) });
    t.is(hint, `install it with: ${command(folder)}`);
  });
}

test('from a folder that has been removed, the command goes where the packages are', async (t) => {
  const folder = await newFolder(t);
  const root = join(folder, 'node_modules', 'ttun');
  const gone = join(folder, 'gone');
  await putTtun(root);
  await mkdir(gone);
  const { stderr } = await ttun(root, ['--version'], {
    cwd: gone,
    within: ['sh', '-c', 'rmdir "$0" && exec "$@"', gone],
  });
  t.true(stderr.endsWith(`npm install --prefix ${folder} --no-save --include=optional ttun@1.2.3\n`), stderr);
});
