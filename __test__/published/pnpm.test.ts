import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { pathOf } from '../lab/folders.ts';
import { REGISTRY, targetOf } from './runtimes.ts';

const TOOLS = fileURLToPath(new URL('../../tools/packages/node_modules/', import.meta.url));
const LOADED = `native part: ${targetOf('linux-x64-gnu')}, release`;

test('pnpm installs the package with its native part', async (t) => {
  // Scripts that pnpm puts in node_modules/.bin run these.
  const programs = ['sed', 'dirname', 'uname'].map(pathOf);
  await using user = await EmptyProject.create({ programs, registry: REGISTRY });
  const pnpm = ['node', join(TOOLS, 'pnpm', 'bin', 'pnpm.cjs')];
  await user.write('package.json', '{}');
  await user.run([...pnpm, 'add', 'ttun']);
  t.true((await user.run([...pnpm, 'exec', 'ttun', '--version'])).stdout.includes(LOADED));
});
