import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { REGISTRY } from './registry.ts';
import { NATIVE, targetOf } from './runtimes.ts';
import type { Runtime } from './runtimes.ts';

const [GLIBC] = NATIVE;
const MUSL = NATIVE.find(({ platform }) => platform === 'linux-x64-musl');
if (GLIBC === undefined || MUSL === undefined) throw new Error('both kinds of libc are needed');

/** A project in a folder, as programs of a runtime see it. */
function projectOf({ node, within }: Runtime): Promise<EmptyProject> {
  return EmptyProject.create({ node, within, programs: ['/bin/rm'], registry: REGISTRY });
}

/** What is told must be one line, and what it says to type must do. */
async function assertMended(
  t: ExecutionContext,
  user: EmptyProject,
  runtime: Runtime,
  message: RegExp,
): Promise<void> {
  const told = await user.runToEnd(['npx', 'ttun', '--version']);
  t.is(told.status, 1);
  t.regex(told.stderr, message);
  t.is(told.stderr.trim().split('\n').length, 1, told.stderr);
  const [, command = ''] = / with: (.*)\n$/.exec(told.stderr) ?? [];
  t.log(command);
  await user.run(['sh', '-c', command]);
  const { stdout } = await user.run(['npx', 'ttun', '--version']);
  t.true(stdout.includes(`native part: ${targetOf(runtime.platform)}, release`), stdout);
}

for (const runtime of [GLIBC, MUSL]) {
  test(`${runtime.name}: what was installed without optional packages is mended by what is told`, async (t) => {
    await using user = await projectOf(runtime);
    await user.npmInstall('--omit=optional', 'ttun');
    await assertMended(
      t,
      user,
      runtime,
      /, @ttun\/binding-linux-x64-(?:gnu|musl), is not installed, nor is one/,
    );
  });

  test(`${runtime.name}: a native part that was removed is mended by what is told`, async (t) => {
    await using user = await projectOf(runtime);
    await user.npmInstall('ttun');
    await rm(join(user.folder, 'node_modules', '@ttun'), { recursive: true });
    await assertMended(t, user, runtime, /is not installed, nor is one for any other/);
  });
}

for (const [before, after, other] of [
  [GLIBC, MUSL, 'glibc'],
  [MUSL, GLIBC, 'musl'],
] as const) {
  test(`${after.name}: packages that were installed with ${before.name} are mended by what is told`, async (t) => {
    await using user = await projectOf(before);
    await user.npmInstall('ttun');
    await using moved = await projectOf(after);
    for (const part of ['node_modules', 'package.json', 'package-lock.json']) {
      await rename(join(user.folder, part), join(moved.folder, part));
    }
    const message = new RegExp(`only @ttun/binding-${before.platform} \\S+, which is for ${other}`);
    await assertMended(t, moved, after, message);
  });
}
