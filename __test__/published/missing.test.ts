import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { REGISTRY, NATIVE, targetOf } from './runtimes.ts';
import type { Runtime } from './runtimes.ts';

const [GLIBC] = NATIVE;
const MUSL = NATIVE.find(({ platform }) => platform === 'linux-x64-musl');
if (GLIBC === undefined || MUSL === undefined) throw new Error('both kinds of libc are needed');

/** A project in a folder, as programs of a runtime see it. */
function projectOf({ node, within }: Runtime): Promise<EmptyProject> {
  return EmptyProject.create({ node, within, programs: ['/bin/rm'], registry: REGISTRY });
}

/** The error must be one line, and its command must repair the installation. */
async function assertRepaired(
  t: ExecutionContext,
  user: EmptyProject,
  runtime: Runtime,
  message: RegExp,
): Promise<void> {
  const failed = await user.runToEnd(['npx', 'ttun', '--version']);
  t.is(failed.status, 1);
  t.regex(failed.stderr, message);
  t.is(failed.stderr.trim().split('\n').length, 1, failed.stderr);
  const [, command = ''] = / with: (.*)\n$/.exec(failed.stderr) ?? [];
  t.log(command);
  await user.run(['sh', '-c', command]);
  const { stdout } = await user.run(['npx', 'ttun', '--version']);
  t.true(stdout.includes(`native part: ${targetOf(runtime.platform)}, release`), stdout);
}

for (const runtime of [GLIBC, MUSL]) {
  test(`${runtime.name}: what was installed without optional packages is repaired by the hint`, async (t) => {
    await using user = await projectOf(runtime);
    await user.npmInstall('--omit=optional', 'ttun');
    await assertRepaired(
      t,
      user,
      runtime,
      / was not found: tried @ttun\/binding-linux-x64-(?:gnu|musl) and \S+\.node; install/,
    );
  });

  test(`${runtime.name}: a native part that was removed is repaired by the hint`, async (t) => {
    await using user = await projectOf(runtime);
    await user.npmInstall('ttun');
    await rm(join(user.folder, 'node_modules', '@ttun'), { recursive: true });
    await assertRepaired(t, user, runtime, / was not found: tried \S+ and \S+\.node; install/);
  });
}

for (const [before, after] of [
  [GLIBC, MUSL],
  [MUSL, GLIBC],
] as const) {
  test(`${after.name}: packages that were installed with ${before.name} are repaired by the hint`, async (t) => {
    await using user = await projectOf(before);
    await user.npmInstall('ttun');
    await using moved = await projectOf(after);
    for (const part of ['node_modules', 'package.json', 'package-lock.json']) {
      await rename(join(user.folder, part), join(moved.folder, part));
    }
    const message = new RegExp(`but only @ttun/binding-${before.platform} is installed`);
    await assertRepaired(t, moved, after, message);
  });
}
