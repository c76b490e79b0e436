import { mkdir, mkdtemp, readFile, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKED = join(ROOT, 'packed');

/** An empty folder where both tarballs were installed, and nothing on the PATH but Node, npm and a shell. */
interface Installed {
  readonly inside: (command: readonly string[]) => Promise<string>;
  readonly write: (name: string, text: string) => Promise<void>;
}

async function install(t: ExecutionContext): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-packed-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const bin = join(folder, 'bin');
  const project = join(folder, 'project');
  await mkdir(bin);
  await mkdir(project);
  const nodeFolder = dirname(process.execPath);
  for (const program of ['node', 'npm', 'npx']) {
    await symlink(await realpath(join(nodeFolder, program)), join(bin, program));
  }
  for (const program of ['sh', 'env']) await symlink(join('/bin', program), join(bin, program));
  const env = { PATH: bin, HOME: folder };
  const inside = async (command: readonly string[]): Promise<string> =>
    (await run(['env', '-C', project, ...command], { env, timeoutMs: 120_000 })).stdout;
  const tarballs = (await readdir(PACKED)).map((file) => join(PACKED, file));
  await inside(['npm', 'install', '--offline', '--no-audit', '--no-fund', ...tarballs]);
  return { inside, write: (name, text) => writeFile(join(project, name), text) };
}

test('the tarballs installed in an empty folder, with no Rust about, run and embed', async (t) => {
  const { inside, write } = await install(t);
  await t.throwsAsync(inside(['cargo', '--version']), undefined, 'there is no Rust on the PATH');

  const { version }: { version: string } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  t.true((await inside(['npx', '--offline', 'ttun', '--version'])).includes(version));

  const embed = `
    const options = { device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' };
    createTunnel(options).then(
      (tunnel) => tunnel.close(),
      (error) => console.log(error instanceof TtunError, error.code, error.hint),
    );
  `;
  // The native part answers: it has looked the device up.
  const answer = 'true ERR_TTUN_DEVICE_NOT_FOUND make it: ip tuntap add dev ttun-no-such mode tun\n';
  await write('embed.mjs', `import { createTunnel, TtunError } from 'ttun';\n${embed}`);
  t.is(await inside(['node', 'embed.mjs']), answer);
  await write('embed.cjs', `const { createTunnel, TtunError } = require('ttun');\n${embed}`);
  t.is(await inside(['node', 'embed.cjs']), answer);
});

test('the packages hold what users need and nothing else', async (t) => {
  const files = await Promise.all(
    (await readdir(PACKED)).map(async (tarball) => (await run(['tar', '-tf', join(PACKED, tarball)])).stdout),
  );
  const listed = files.join('').split('\n').filter(Boolean);
  for (const wanted of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/bin.js',
    'page/index.html',
    'page/main.js',
    'binding.cjs',
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
