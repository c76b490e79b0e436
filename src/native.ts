/**
 * The native part, loaded on first use, so that the package can be imported on every platform and costs nothing until a
 * tunnel is opened.
 */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as Binding from '../binding.cjs';
import { hintForLimit, TtunError } from './errors.ts';
import type { TtunErrorCode } from './errors.ts';

/** Version of this package. `npm version` sets it. */
export const VERSION = '0.1.0';

let loaded: typeof Binding | undefined;

/**
 * The native part of the package. Loads it on first use.
 *
 * @throws TtunError with code `ERR_TTUN_UNSUPPORTED_PLATFORM` or `ERR_TTUN_NATIVE_MISSING`
 */
export function loadBinding(): typeof Binding {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux') {
    throw new TtunError('ERR_TTUN_UNSUPPORTED_PLATFORM', `ttun requires Linux; this is ${process.platform}`, {
      hint: 'run it on a Linux host, in a virtual machine or in a container',
    });
  }
  const binding = load(findPlace());
  // Interfaces are restored even where `process.exit` or an exception ends the process.
  process.on('exit', () => binding.closeTunnels());
  loaded = binding;
  return binding;
}

/** An error of the binding as users see it. */
export function toTtunError({ code, message, hint, syscall, errno }: Binding.BindingError): TtunError {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the core's codes are among the documented ones, but declared as strings
  return new TtunError(code as TtunErrorCode, message, {
    hint: hint ?? undefined,
    syscall: syscall ?? undefined,
    errno: errno === null ? undefined : -errno,
  });
}

/**
 * Calls `onChange` soon after changes of the network (interfaces, addresses, routes, rules), at most four times a second, and
 * once at the start, until it is stopped. It does not keep the process alive. Returns `null` if changes cannot be watched, for
 * example if no thread can be started, so callers also need a timer.
 */
export function watchNetwork(onChange: () => void): Binding.BindingNetworkWatch | null {
  try {
    return loadBinding().watchNetworkChanges(onChange);
  } catch {
    return null;
  }
}

/**
 * A file or folder of this package, by its path in it. Next to a bundle it may be put at the same path.
 *
 * @throws TtunError with code `ERR_TTUN_FILE_MISSING`
 */
export function packageFile(path: string): string {
  const { kind, folder } = findFolder();
  const file = join(folder, path);
  if (existsSync(file)) return file;
  const [part] = path.split('/');
  const hint =
    kind === 'bundle'
      ? `copy ${part} of ttun ${VERSION} to ${folder}, or mark ttun as external in the bundler`
      : `reinstall ttun@${VERSION}`;
  throw new TtunError('ERR_TTUN_FILE_MISSING', `a file of ttun is missing: ${file}`, { hint });
}

/** Where this code is. */
interface Folder {
  readonly kind: 'package' | 'checkout' | 'bundle';
  /** The file that holds it. */
  readonly self: string;
  /** The folder of the package, or of the bundle. */
  readonly folder: string;
}

function findFolder(): Folder {
  // Empty in a CommonJS bundle; webpack writes the path at build time. Bundlers that keep modules apart keep their file names as well.
  const { url }: Partial<ImportMeta> = import.meta;
  const self = url !== undefined && existsSync(new URL(url)) ? fileURLToPath(url) : __filename;
  if (!/^native\.[jt]s$/.test(basename(self))) return { kind: 'bundle', self, folder: dirname(self) };
  const folder = dirname(dirname(self));
  return { kind: existsSync(join(folder, 'crates')) ? 'checkout' : 'package', self, folder };
}

/** Where to look for the native part. */
interface Place extends Folder {
  /** As napi-rs names files and packages: `linux-x64-gnu`. */
  readonly platform: string;
  /** The package for this platform. */
  readonly name: string;
  /** Where the file is in a checkout, and may be put next to a bundle. It is preferred to the package. */
  readonly file: string;
}

function findPlace(): Place {
  const found = findFolder();
  const platform = `linux-${process.arch}-${libc()}`;
  return { ...found, platform, name: nameOf(platform), file: join(found.folder, `ttun.${platform}.node`) };
}

function nameOf(platform: string): string {
  return `@ttun/binding-${platform}`;
}

/** The C library that Node itself runs on, as napi-rs names it. Other programs of the system may use another one. */
function libc(): string {
  const gnu = process.arch === 'arm' ? 'gnueabihf' : 'gnu';
  try {
    // glibc is `libc.so.6`, or `libc-2.31.so` before 2.34. Node's report has it as well, but takes ten times as long.
    const maps = readFileSync('/proc/self/maps', 'utf8');
    return /\/libc(?:\.so\.6|-\d[\d.]*\.so)(?: \(deleted\))?$/m.test(maps) ? gnu : 'musl';
  } catch {
    // `--permission` may deny it. Without `excludeNetwork`, the report would look up the names of connected hosts.
    const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
    const { excludeNetwork = false } = report;
    report.excludeNetwork = true;
    const { header }: { header: { glibcVersionRuntime?: string } } = Object(report.getReport());
    report.excludeNetwork = excludeNetwork;
    return header.glibcVersionRuntime === undefined ? 'musl' : gnu;
  }
}

function load(place: Place): typeof Binding {
  // File tracers follow these literal calls. Bundlers leave them alone, as they do not recognise this way to create a `require`.
  const module = process.getBuiltinModule('node:module');
  const require = module.createRequire(place.self);
  const packages: Readonly<Record<string, () => typeof Binding>> = {
    'linux-x64-gnu': () => require('@ttun/binding-linux-x64-gnu'),
    'linux-x64-musl': () => require('@ttun/binding-linux-x64-musl'),
    'linux-arm64-gnu': () => require('@ttun/binding-linux-arm64-gnu'),
    'linux-arm64-musl': () => require('@ttun/binding-linux-arm64-musl'),
  };
  const platforms = Object.keys(packages);
  const loadPackage = packages[place.platform];
  const hasFile = existsSync(place.file);
  if (!hasFile && place.kind === 'checkout')
    throw missing('the native part has not been built', replace(place));
  if (!hasFile && loadPackage === undefined) {
    throw missing(`there is no native part for ${place.platform}, only for ${platforms.join(', ')}`, BUILD);
  }
  let binding: typeof Binding;
  try {
    binding = hasFile || loadPackage === undefined ? require(place.file) : loadPackage();
  } catch (error) {
    throw explain(error, place, platforms);
  }
  // A package manager may update one package and not the other, and a checkout may not be built again.
  const version = binding.version();
  if (version === VERSION) return binding;
  throw missing(`${subject(place)} is version ${version}, but ttun is version ${VERSION}`, replace(place));
}

function missing(message: string, hint: string, cause?: unknown): TtunError {
  return new TtunError('ERR_TTUN_NATIVE_MISSING', message, { hint, cause });
}

const BUILD =
  'build it for this machine, in a checkout of ttun: npm ci && npm run build && npm install --global .';

interface RequireError extends Partial<NodeJS.ErrnoException> {
  /** The resource that `--permission` does not allow. */
  readonly resource?: string;
}

/** Converts an error of `require`: the message lists the files that were tried, the hint has the command to type. */
function explain(error: unknown, place: Place, platforms: readonly string[]): TtunError {
  const { code, message = String(error), path, resource = '' }: RequireError = Object(error);
  // Node reports some of what it could not open for this reason as missing.
  const limit = hintForLimitNow();
  if (limit !== null) return missing(`${subject(place)} cannot be loaded: too many open files`, limit, error);
  // The path is that of a package.json whose file was deleted.
  if (code === 'MODULE_NOT_FOUND' && path === undefined) return explainAbsence(error, place, platforms);
  const [reason = ''] = message.split('\n', 1);
  return missing(`${subject(place)} cannot be loaded: ${reason}`, howToLoad(), error);

  function howToLoad(): string {
    if (code === 'ERR_DLOPEN_DISABLED') {
      return `start Node ${'permission' in process ? 'with --allow-addons' : 'without --no-addons'}`;
    }
    if (code === 'ERR_ACCESS_DENIED') return `start Node with --allow-fs-read=${dirname(resource)}`;
    if (reason.includes('failed to map segment'))
      return 'its file system may be mounted with noexec; check with: findmnt';
    if (/ not found|No such file|undefined symbol/.test(reason) && place.kind !== 'checkout') return BUILD;
    return replace(place);
  }
}

/** How to raise the limit of open files; `null` if it has not been reached. */
function hintForLimitNow(): string | null {
  try {
    closeSync(openSync('/dev/null', 'r'));
  } catch (error) {
    return hintForLimit(error);
  }
  return null;
}

function explainAbsence(error: unknown, place: Place, platforms: readonly string[]): TtunError {
  const { kind, name, file } = place;
  const message = `the native part for this Node was not found: tried ${name} and ${file}`;
  if (kind === 'bundle') {
    const hint = `copy ${basename(file)} of ${name} ${VERSION} to ${dirname(file)}, or mark ttun as external in the bundler`;
    return missing(message, hint, error);
  }
  const others = platforms.map(nameOf).filter((each) => folderOf(each, place) !== null);
  const found = others.length === 0 ? '' : `, but only ${others.join(' and ')} is installed`;
  // npm installed the package for a different platform.
  const [, cpu, abi] = place.platform.split('-');
  const options = others.length === 0 ? '' : `--cpu=${cpu} --libc=${abi === 'gnu' ? 'glibc' : 'musl'} `;
  return missing(`${message}${found}`, `install it with: ${install(place, options)}`, error);
}

function subject({ kind, name, file }: Place): string {
  return kind === 'package' && !existsSync(file) ? name : file;
}

function replace(place: Place): string {
  const { kind, name, file } = place;
  if (kind === 'checkout') return 'build it with: npm run build:native';
  const folder = folderOf(name, place);
  if (existsSync(file) || folder === null) return `replace ${file} with that of ${name} ${VERSION}`;
  // Package managers keep an installed package.
  return `replace it with: rm -r '${folder}' && ${install(place)}`;
}

function install({ self }: Place, options = ''): string {
  if (self.includes('/node_modules/.pnpm/')) return 'pnpm install --force --config.optional=true';
  const global = self.includes('/lib/node_modules/ttun/') ? '--global ' : '';
  return `npm install ${global}${options}--include=optional ttun@${VERSION}`;
}

/** Where a package is installed. */
function folderOf(name: string, { self }: Place): string | null {
  try {
    return dirname(
      process.getBuiltinModule('node:module').createRequire(self).resolve(`${name}/package.json`),
    );
  } catch {
    return null;
  }
}
