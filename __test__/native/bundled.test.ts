/** ttun as part of a bundle: it runs if the native part lies beside the bundle, and otherwise says so. */
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { build } from 'esbuild';
import type { Format } from 'esbuild';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { run, runToEnd } from '../../testbed/exec.ts';
import type { Command } from '../../testbed/exec.ts';
import { BUILT, VERSION, fileFor, newFolder, packageFor, putPlatform, writeManifest } from './layout.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DIST = join(ROOT, 'dist');
const NAME = packageFor(BUILT.platform);
const FILE = fileFor(BUILT.platform);

/** `open` opens a tunnel and prints how that failed; anything else is the command line. */
const PROGRAM = `
import { createTunnel, TtunError } from '${join(DIST, 'index.js')}';
const options = { device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' };
const print = (error) =>
  console.log(JSON.stringify([error instanceof TtunError, error.code, error.message, error.hint]));
if (process.argv[2] === 'open') createTunnel(options).catch(print);
else import('${join(DIST, 'bin.js')}');`;

interface Bundle {
  readonly folder: string;
  readonly command: Command;
}

const KINDS: Readonly<Record<string, (t: ExecutionContext) => Promise<Bundle>>> = {
  'an ES module': async (t) => bundle(t, 'esm', 'program.mjs'),
  'a CommonJS module': async (t) => bundle(t, 'cjs', 'program.cjs'),
  'a single executable': async (t) => makeExecutable(await bundle(t, 'cjs', 'program.cjs')),
};

async function bundle(t: ExecutionContext, format: Format, outfile: string): Promise<Bundle> {
  const folder = await newFolder(t);
  const path = join(folder, outfile);
  await build({
    stdin: { contents: PROGRAM, resolveDir: ROOT },
    bundle: true,
    platform: 'node',
    format,
    outfile: path,
    // That `import.meta` is empty in CommonJS.
    logLevel: 'error',
  });
  // The version of the application is not ttun's.
  await writeManifest(folder, { name: 'application', version: '9.9.9' });
  return { folder, command: [process.execPath, path] };
}

async function makeExecutable({ folder }: Bundle): Promise<Bundle> {
  const [main, program] = [join(folder, 'program.cjs'), join(folder, 'program')];
  const [blob, config] = [join(folder, 'sea.blob'), join(folder, 'sea.json')];
  await writeFile(config, JSON.stringify({ main, output: blob, disableExperimentalSEAWarning: true }));
  await run([process.execPath, '--experimental-sea-config', config]);
  await copyFile(process.execPath, program);
  await chmod(program, 0o755);
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  const postject = join(ROOT, 'node_modules', 'postject', 'dist', 'cli.js');
  await run([process.execPath, postject, program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse], {
    timeoutMs: 60_000,
  });
  return { folder, command: [program] };
}

/** Other tests may have made namespaces with the names that the lab uses. */
const WITHOUT_NAMESPACES = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec "$@"',
  'sh',
];

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind} finds the native part next to it or installed, and otherwise gives a hint`, async (t) => {
    const { folder, command } = await make(t);
    const outcome = async (): Promise<unknown> => JSON.parse((await run([...command, 'open'])).stdout);
    t.deepEqual(await outcome(), [
      true,
      'ERR_TTUN_NATIVE_MISSING',
      `the native part for this Node was not found: tried ${NAME} and ${join(folder, FILE)}`,
      `copy ${FILE} of ${NAME} ${VERSION} to ${folder}, or mark ttun as external in the bundler`,
    ]);
    await putPlatform(join(folder, 'node_modules'), BUILT.platform, '<html>');
    t.regex(String(await outcome()), /cannot be loaded: .*node_modules.*: file too short/);
    await copyFile(BUILT.path, join(folder, FILE));
    t.like(await outcome(), { 0: true, 1: 'ERR_TTUN_DEVICE_NOT_FOUND' });

    // The command line runs, and says which of its files are missing.
    t.regex((await run([...command, '--version'])).stdout, new RegExp(`^ttun ${VERSION}\n`));
    const config = join(folder, 'ttun.toml');
    await writeFile(
      config,
      '[tunnels.a]\ndevice = "ttun-no-such"\nlocal = ":1"\nremote = "192.0.2.1:1"\n[http]\nlisten = "127.0.0.1:0"\n',
    );
    for (const [args, file, part] of [
      [['lab'], 'dist/lab/helper.js', 'dist'],
      [['up', '-c', config], 'page', 'page'],
    ] as const) {
      const { status, stderr } = await runToEnd([...WITHOUT_NAMESPACES, ...command, ...args]);
      t.is(status, 1);
      t.is(
        stderr,
        `ttun: a file of ttun is missing: ${join(folder, file)}; copy ${part} of ttun ${VERSION} to ${folder}, or mark ttun as external in the bundler\n`,
      );
    }
  });
}

test('the package of each platform is required by a literal name, which file tracers find', async (t) => {
  const code = await readFile(join(DIST, 'native.js'), 'utf8');
  for (const { name } of PLATFORMS) t.true(code.includes(`require('@ttun/binding-${name}')`), name);
});
