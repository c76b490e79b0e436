/**
 * The native part, loaded on first use, so that the package can be imported on every platform and costs nothing until a
 * tunnel is opened.
 */
import type * as Binding from '../binding.cjs';
import { TtunError } from './errors.ts';
import type { TtunErrorCode } from './errors.ts';
import { loadNativePart } from './native/load.ts';

let loaded: typeof Binding | undefined;

/**
 * The native part of the package.
 *
 * @throws TtunError with code `ERR_TTUN_UNSUPPORTED_PLATFORM` or `ERR_TTUN_NATIVE_MISSING`
 */
export async function loadBinding(): Promise<typeof Binding> {
  if (loaded !== undefined) return loaded;
  refuseOtherSystems();
  const { binding, failure } = loadNativePart();
  if (failure !== null) {
    // Where all is well, nobody has to wait until this is loaded.
    const { explainFailure } = await import('./native/explain.ts');
    throw explainFailure(failure);
  }
  // What tunnels changed of the system is put back also where `process.exit` or an exception ends the process.
  process.on('exit', () => binding.closeTunnels());
  loaded = binding;
  return binding;
}

/** The same at once, for what nobody gets to do before it has been loaded. */
export function loadedBinding(): typeof Binding {
  if (loaded === undefined) throw new Error('the native part has not been loaded');
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

function refuseOtherSystems(): void {
  if (process.platform === 'linux') return;
  throw new TtunError('ERR_TTUN_UNSUPPORTED_PLATFORM', `ttun needs Linux, and this is ${process.platform}`, {
    hint: 'run it on a Linux host, in a virtual machine or in a container',
  });
}
