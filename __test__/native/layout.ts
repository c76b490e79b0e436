/** Packages laid out in folders as package managers leave them, and how ttun behaves there. */
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ExecutionContext } from 'ava';
import { runtimeDependencies } from '../../scripts/lib/dependencies.mjs';
import { run, runToEnd } from '../../testbed/exec.ts';
import type { Command, RunResult } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const manifest: { readonly version: string } = createRequire(import.meta.url)('../../package.json');

/** The native part that was built in the checkout, for the Node that runs this. */
export const BUILT = {
  platform: `${process.arch}-gnu`,
  path: join(ROOT, `ttun.linux-${process.arch}-gnu.node`),
  version: manifest.version,
};

export const VERSION = manifest.version;

export function packageFor(platform: string): string {
  return `@ttun/binding-linux-${platform}`;
}

export function fileFor(platform: string): string {
  return `ttun.linux-${platform}.node`;
}

/** An empty folder, without links in its path. */
export async function newFolder(t: ExecutionContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'ttun-native-')));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

/** Puts the package ttun into a folder as it is published, with what it depends on. */
export async function putTtun(folder: string): Promise<void> {
  await cp(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  await writeManifest(folder, { type: 'module', version: VERSION });
  await mkdir(join(folder, 'node_modules'));
  for (const name of runtimeDependencies()) {
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
}

/** Makes the package ttun in a folder another version. */
export async function setVersion(root: string, version: string): Promise<void> {
  const file = join(root, 'dist', 'native.js');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(`VERSION = '${VERSION}'`, `VERSION = '${version}'`));
}

/** Puts the package for a platform into a folder node_modules, with this for its native part. Returns its folder. */
export async function putPlatform(
  modules: string,
  platform: string,
  file: string | Buffer = 'not a native part',
): Promise<string> {
  const folder = join(modules, packageFor(platform));
  const main = fileFor(platform);
  await writeManifest(folder, { version: VERSION, main });
  await writeFile(join(folder, main), file);
  return folder;
}

export async function writeManifest(folder: string, content: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify(content));
}

export interface Circumstances {
  /** Where the program is run. Default: the folder of the package. */
  readonly cwd?: string;
  /** What runs it. Default: nothing. */
  readonly within?: Command;
  /** What Node takes for `process.platform` and `process.arch`. */
  readonly system?: string;
  readonly cpu?: string;
  /** Options of Node. */
  readonly options?: readonly string[];
  /** What Node finds in /proc/self/maps; `null`: there is no such file. */
  readonly maps?: string | null;
}

/** A program's folder with ttun installed by npm. */
export async function newProgram(t: ExecutionContext): Promise<Program> {
  const cwd = await newFolder(t);
  const modules = join(cwd, 'node_modules');
  const root = join(modules, 'ttun');
  await putTtun(root);
  await writeManifest(cwd, { dependencies: { ttun: `^${VERSION}` } });
  return { cwd, modules, root };
}

export interface Program {
  /** The folder. */
  readonly cwd: string;
  readonly modules: string;
  /** The folder of ttun. */
  readonly root: string;
}

/** A line of /proc/self/maps of a Node that is built for musl. */
export const MUSL = '7f6e5d4c3000-7f6e5d4f7000 r-xp 00014000 fe:00 1234    /lib/ld-musl-x86_64.so.1\n';

/** What opening a tunnel fails with, by the package in `root`. */
export async function failure(root: string, circumstances: Circumstances = {}): Promise<Failure> {
  const stdout = await evaluate(
    root,
    `
    const { createTunnel } = await load();
    createTunnel({ device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' }).catch(
      ({ name, code, message, hint }) => console.log(JSON.stringify({ name, code, message, hint })),
    );`,
    circumstances,
  );
  return JSON.parse(stdout);
}

interface Failure {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** What a program prints in which `load()` imports the package in `root`. */
export async function evaluate(
  root: string,
  program: string,
  circumstances: Circumstances = {},
): Promise<string> {
  const index = pathToFileURL(join(root, 'dist', 'index.js')).href;
  const source = `const load = () => import('${index}');\n${program}`;
  return (await run(command(root, ['--input-type=module', '-e', source], circumstances))).stdout;
}

/** How the command line of the package in `root` ends. */
export function ttun(
  root: string,
  args: readonly string[],
  circumstances: Circumstances = {},
): Promise<RunResult> {
  return runToEnd(command(root, [join(root, 'dist', 'bin.js'), ...args], circumstances));
}

function command(
  root: string,
  args: readonly string[],
  { cwd = root, within = [], options = [], ...faked }: Circumstances,
): Command {
  const pretend = `data:text/javascript,${encodeURIComponent(pretending(faked))}`;
  return ['env', '-C', cwd, ...within, process.execPath, ...options, '--import', pretend, ...args];
}

function pretending({ system, cpu, maps }: Circumstances): string {
  return `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const pretend = (name, value) => value && Object.defineProperty(process, name, { value });
    pretend('platform', ${JSON.stringify(system)});
    pretend('arch', ${JSON.stringify(cpu)});
    const maps = ${JSON.stringify(maps)};
    const { readFileSync } = fs;
    fs.readFileSync = (path, ...options) => {
      if (path !== '/proc/self/maps' || maps === undefined) return readFileSync(path, ...options);
      return maps ?? readFileSync('/proc/self/no-such-file');
    };
    syncBuiltinESMExports();
  `;
}
