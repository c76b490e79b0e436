/**
 * The native part, loaded on first use, so that the package can be imported on every platform and costs nothing until a
 * tunnel is opened.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Binding from '../binding.cjs';
import { TtunError } from './errors.ts';
import type { TtunErrorCode } from './errors.ts';

let loaded: typeof Binding | undefined;

/**
 * The native part of the package.
 *
 * @throws TtunError with code `ERR_TTUN_UNSUPPORTED_PLATFORM` or `ERR_TTUN_NATIVE_MISSING`
 */
export function loadBinding(): typeof Binding {
  loaded ??= load();
  return loaded;
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

function load(): typeof Binding {
  if (process.platform !== 'linux') {
    throw new TtunError(
      'ERR_TTUN_UNSUPPORTED_PLATFORM',
      `ttun needs Linux, and this is ${process.platform}`,
      {
        hint: 'run it on a Linux host, in a virtual machine or in a container',
      },
    );
  }
  const require = createRequire(import.meta.url);
  let binding: typeof Binding;
  try {
    binding = require('../binding.cjs');
  } catch (error) {
    throw nativeMissing(error, require);
  }
  refuseOtherVersion(binding, require);
  // What tunnels changed of the system is put back also where `process.exit` or an exception ends the process.
  process.on('exit', () => binding.closeTunnels());
  return binding;
}

/** A package manager that updated one package and not the other, or a checkout that was not built again. */
function refuseOtherVersion(binding: typeof Binding, require: NodeJS.Require): void {
  const { version }: Manifest = require('../package.json');
  const native = binding.version();
  if (native === version) return;
  throw new TtunError(
    'ERR_TTUN_NATIVE_MISSING',
    `the native part is of ttun ${native}, and this is ttun ${version}`,
    { hint: howToGetNative(require) },
  );
}

/** The loader's own message speaks of platforms and remedies that do not apply here; the errors behind it tell what happened. */
function nativeMissing(error: unknown, require: NodeJS.Require): TtunError {
  const tried = failuresBehind(error).map((failure) => failure.split('\n', 1)[0]);
  return new TtunError(
    'ERR_TTUN_NATIVE_MISSING',
    `the native part of ttun cannot be loaded: ${tried.join('; ')}`,
    {
      hint: howToGetNative(require),
      cause: error,
    },
  );
}

function failuresBehind(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const failures = [];
  let failure: unknown = error.cause ?? error;
  while (failure instanceof Error) {
    failures.push(failure.message);
    failure = failure.cause;
  }
  return failures.filter((message) => !message.includes('wasm32-wasi'));
}

function howToGetNative(require: NodeJS.Require): string {
  if (existsSync(new URL('../crates', import.meta.url))) return 'build it with: npm run build:native';
  const manifest: Manifest = require('../package.json');
  const prebuilt = `@ttun/binding-linux-${process.arch}-${usesGlibc() ? 'gnu' : 'musl'}`;
  if (manifest.optionalDependencies?.[prebuilt] === undefined) {
    return `there is no ${prebuilt}: build ttun from its sources on this machine`;
  }
  return `install it with: npm install ${prebuilt}@${manifest.version}`;
}

interface Manifest {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function usesGlibc(): boolean {
  const report = process.report.getReport();
  return 'header' in report && Object.hasOwn(Object(report.header), 'glibcVersionRuntime');
}
