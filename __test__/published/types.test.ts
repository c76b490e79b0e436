import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { REGISTRY } from './runtimes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The compilers to test: ours, and the last one with the old architecture. */
const COMPILERS = {
  'TypeScript 7': join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
  'TypeScript 5.9': join(ROOT, 'tools', 'packages', 'node_modules', 'typescript', 'bin', 'tsc'),
};

const PROGRAM = `
import { createTunnel, diffStats, parseConfig, TtunError } from 'ttun';
import type { Tunnel, TunnelOptions, TunnelStats } from 'ttun';

const options: TunnelOptions = { device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' };

export async function carry(): Promise<number> {
  await using tunnel: Tunnel = await createTunnel(options, { signal: AbortSignal.timeout(1000) });
  const before: TunnelStats = tunnel.stats();
  for await (const { stats } of tunnel.samples({ intervalMs: 100 })) return diffStats(before, stats).encap.packets;
  return 0;
}

// @ts-expect-error There is no such format. This shows that the types are found at all.
parseConfig('', { format: 'yaml' });
`;

const RUN = `
carry().catch((error: unknown) => console.log(error instanceof TtunError && error.code));
`;

async function projectWith(): Promise<EmptyProject> {
  const user = await EmptyProject.create({ registry: REGISTRY });
  await user.npmInstall('ttun');
  // Node's types, which are not in the registry.
  await mkdir(join(user.folder, 'node_modules', '@types'));
  for (const types of ['@types/node', 'undici-types']) {
    await symlink(join(ROOT, 'node_modules', types), join(user.folder, 'node_modules', types));
  }
  return user;
}

const COMMON = {
  strict: true,
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
  outDir: 'out',
};

for (const [name, compiler] of Object.entries(COMPILERS)) {
  for (const type of ['module', 'commonjs'] as const) {
    test(`${name}: a program compiled under module nodenext runs, as ${type}`, async (t) => {
      await using user = await projectWith();
      await user.write('package.json', JSON.stringify({ type }));
      await user.write('program.ts', `${PROGRAM.replace(/\n\/\/ @ts-expect-error[^]*/, '')}${RUN}`);
      await user.write(
        'tsconfig.json',
        JSON.stringify({ compilerOptions: { ...COMMON, module: 'nodenext' } }),
      );
      await user.run(['node', compiler, '-p', '.']);
      t.is((await user.run(['node', 'out/program.js'])).stdout, 'ERR_TTUN_DEVICE_NOT_FOUND\n');
    });
  }

  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ]) {
    test(`${name}: types are found, and mistakes too, with module resolution ${moduleResolution}`, async (t) => {
      await using user = await projectWith();
      await user.write('package.json', JSON.stringify({ type: 'module' }));
      await user.write('program.ts', PROGRAM);
      const compilerOptions = { ...COMMON, module, moduleResolution, noEmit: true };
      await user.write('tsconfig.json', JSON.stringify({ compilerOptions }));
      const { status, stdout } = await user.runToEnd(['node', compiler, '-p', '.']);
      t.is(status, 0, stdout);
    });
  }
}
