import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { pathOf } from '../lab/folders.ts';
import { REGISTRY } from './registry.ts';
import { targetOf } from './runtimes.ts';

const CHECKS = fileURLToPath(new URL('../../tools/package-checks/node_modules/', import.meta.url));
const LOADED = `native part: ${targetOf('linux-x64-gnu')}, release`;

test('pnpm installs the package with its native part', async (t) => {
  // What it puts in node_modules/.bin are scripts that use these.
  const programs = ['sed', 'dirname', 'uname'].map(pathOf);
  await using user = await EmptyProject.create({ programs, registry: REGISTRY });
  const pnpm = ['node', join(CHECKS, 'pnpm', 'bin', 'pnpm.cjs')];
  await user.write('package.json', '{}');
  await user.run([...pnpm, 'add', 'ttun']);
  t.true((await user.run([...pnpm, 'exec', 'ttun', '--version'])).stdout.includes(LOADED));
});

test('yarn installs the package with its native part', async (t) => {
  await using user = await EmptyProject.create({ registry: REGISTRY });
  const yarn = ['node', join(CHECKS, 'yarn', 'bin', 'yarn.js'), '--registry', REGISTRY, '--no-progress'];
  await user.write('package.json', '{ "license": "MIT" }');
  await user.run([...yarn, 'add', 'ttun']);
  t.true((await user.run([...yarn, '--silent', 'ttun', '--version'])).stdout.includes(LOADED));
});
