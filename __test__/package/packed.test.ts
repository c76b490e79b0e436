import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runtimeDependencies } from '../../scripts/lib/dependencies.mjs';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { run } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKED = join(ROOT, 'packed');

async function tarballsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((file) => file.endsWith('.tgz')).map((file) => join(folder, file));
}

/** Tarballs of the packages that ttun depends on, as they are installed here, so that no registry is needed. */
async function packDependencies(folder: string): Promise<string[]> {
  for (const name of runtimeDependencies()) {
    const installed = join(ROOT, 'node_modules', name);
    await run(['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder, installed], {
      timeoutMs: 120_000,
    });
  }
  return tarballsIn(folder);
}

test('the tarballs installed in an empty folder, with no Rust compiler on the PATH, run and embed', async (t) => {
  await using project = await EmptyProject.create();
  const dependencies = await mkdtemp(join(tmpdir(), 'ttun-dependencies-'));
  t.teardown(() => rm(dependencies, { recursive: true }));
  await project.npmInstall(
    '--offline',
    ...(await tarballsIn(PACKED)),
    ...(await packDependencies(dependencies)),
  );
  await t.throwsAsync(project.run(['cargo', '--version']), undefined, 'Rust is not on the PATH');

  const { version }: { version: string } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  t.true((await project.run(['npx', '--offline', 'ttun', '--version'])).stdout.includes(version));

  const embed = `
    const options = { device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' };
    createTunnel(options).then(
      (tunnel) => tunnel.close(),
      (error) => console.log(error instanceof TtunError, error.code, error.hint),
    );
  `;
  // The native part looked the device up.
  const answer = 'true ERR_TTUN_DEVICE_NOT_FOUND create it: ip tuntap add dev ttun-no-such mode tun\n';
  await project.write('embed.mjs', `import { createTunnel, TtunError } from 'ttun';\n${embed}`);
  t.is((await project.run(['node', 'embed.mjs'])).stdout, answer);
  await project.write('embed.cjs', `const { createTunnel, TtunError } = require('ttun');\n${embed}`);
  t.is((await project.run(['node', 'embed.cjs'])).stdout, answer);
});

test('the packages contain what users need, and no sources or tests', async (t) => {
  const files = await Promise.all(
    (await tarballsIn(PACKED)).map(async (tarball) => (await run(['tar', '-tf', tarball])).stdout),
  );
  const listed = files.join('').split('\n').filter(Boolean);
  for (const wanted of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/bin.js',
    'page/index.html',
    'page/main.js',
    'man/ttun.1',
    'man/ttun.toml.5',
    'schema/ttun.schema.json',
    'LICENSE',
    'README.md',
  ]) {
    t.true(listed.includes(`package/${wanted}`), wanted);
  }
  t.true(listed.includes('package/ttun.linux-x64-gnu.node'));
  t.deepEqual(
    listed.filter((file) => /test|\.map$|(?<!\.d)\.[cm]?ts$|\.rs$/.test(file)),
    [],
  );
});

test('the package of the native part is for this platform, and ttun depends on exactly its version', async (t) => {
  const [ttun = '', native = ''] = (await tarballsIn(PACKED)).toSorted();
  const { name, version, os, cpu, libc } = await manifestOf<Record<string, string>>(native);
  t.deepEqual(
    { name, os, cpu, libc },
    { name: '@ttun/binding-linux-x64-gnu', os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  );
  t.like(await manifestOf(ttun), { version, optionalDependencies: { [name ?? '']: version } });
});

async function manifestOf<T>(tarball: string): Promise<T> {
  return JSON.parse((await run(['tar', '-xOf', tarball, 'package/package.json'])).stdout);
}
