/**
 * The kinds of errors.
 *
 * - `ERR_TTUN_INVALID_OPTIONS`: an option is unknown, missing or invalid; the message names it
 * - `ERR_TTUN_INVALID_CONFIG`: a configuration file is missing, unreadable or invalid; the error is a `TtunConfigError`, whose
 *   `problems` list everything with file, line and key
 * - `ERR_TTUN_DEVICE_NOT_FOUND`: no device has this name
 * - `ERR_TTUN_DEVICE_IS_TAP`: it is a TAP device, which carries Ethernet frames
 * - `ERR_TTUN_DEVICE_NOT_TUN`: it is a device of another kind
 * - `ERR_TTUN_DEVICE_BUSY`: the device is already in use, by another process or by another tunnel of this one
 * - `ERR_TTUN_DEVICE_NOT_OWNER`: the device belongs to another user
 * - `ERR_TTUN_DEVICE_GONE`: the device was deleted while the tunnel was open
 * - `ERR_TTUN_TUN_MISSING`: the system has no `/dev/net/tun`
 * - `ERR_TTUN_TUN_PERMISSION`: this user may not open `/dev/net/tun`
 * - `ERR_TTUN_ADDRESS_NOT_LOCAL`: no interface of this host has the local address
 * - `ERR_TTUN_PORT_IN_USE`: another socket has the local address and port
 * - `ERR_TTUN_PORT_PERMISSION`: this user may not bind the local port
 * - `ERR_TTUN_NO_ROUTE`: there is no route to the remote address
 * - `ERR_TTUN_BIND_DEVICE_NOT_FOUND`: no interface has the name given as `bindDevice`, or as the zone of a link-local address
 * - `ERR_TTUN_PERMISSION`: this user may not set an option that requires CAP_NET_ADMIN; the message names it
 * - `ERR_TTUN_TOO_MANY_WATCHES`: the tunnel already has the maximum number of packet taps
 * - `ERR_TTUN_NAME_NOT_RESOLVED`: the host name of the peer has no address at present; retrying, so it is passed to `onWaiting`
 *   and `peerError` only
 * - `ERR_TTUN_SYSTEM`: another system call failed; `syscall` and `errno` identify it
 * - `ERR_TTUN_CLOSED`: the tunnel is closed
 * - `ERR_TTUN_INTERNAL`: the data path panicked, which is a bug in ttun
 * - `ERR_TTUN_UNSUPPORTED_PLATFORM`: tunnels exist on Linux only
 * - `ERR_TTUN_FILE_MISSING`: a file of the package besides the native part is missing, as in a bundle: the page or the lab's
 *   programs
 * - `ERR_TTUN_NATIVE_MISSING`: the native part for this Node is not installed, cannot be loaded, or has another version; the
 *   message lists the files that were tried, the hint has the command to type
 */
export type TtunErrorCode =
  | 'ERR_TTUN_INVALID_OPTIONS'
  | 'ERR_TTUN_INVALID_CONFIG'
  | 'ERR_TTUN_DEVICE_NOT_FOUND'
  | 'ERR_TTUN_DEVICE_IS_TAP'
  | 'ERR_TTUN_DEVICE_NOT_TUN'
  | 'ERR_TTUN_DEVICE_BUSY'
  | 'ERR_TTUN_DEVICE_NOT_OWNER'
  | 'ERR_TTUN_DEVICE_GONE'
  | 'ERR_TTUN_TUN_MISSING'
  | 'ERR_TTUN_TUN_PERMISSION'
  | 'ERR_TTUN_ADDRESS_NOT_LOCAL'
  | 'ERR_TTUN_PORT_IN_USE'
  | 'ERR_TTUN_PORT_PERMISSION'
  | 'ERR_TTUN_NO_ROUTE'
  | 'ERR_TTUN_BIND_DEVICE_NOT_FOUND'
  | 'ERR_TTUN_PERMISSION'
  | 'ERR_TTUN_TOO_MANY_WATCHES'
  | 'ERR_TTUN_NAME_NOT_RESOLVED'
  | 'ERR_TTUN_SYSTEM'
  | 'ERR_TTUN_CLOSED'
  | 'ERR_TTUN_INTERNAL'
  | 'ERR_TTUN_UNSUPPORTED_PLATFORM'
  | 'ERR_TTUN_FILE_MISSING'
  | 'ERR_TTUN_NATIVE_MISSING';

/** Optional properties of a `TtunError`. */
export interface TtunErrorDetails {
  /** The system call that failed. */
  readonly syscall?: string | undefined;
  /** Its error number, negative. */
  readonly errno?: number | undefined;
  /** How to fix it. */
  readonly hint?: string | undefined;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** The errors of this package. `message` describes the problem, `hint` how to fix it. */
export class TtunError extends Error {
  /** The kind of error. */
  readonly code: TtunErrorCode;
  /** The system call that failed, if one did. */
  readonly syscall: string | undefined;
  /** Its error number, negative as on Node's own errors: `util.getSystemErrorName(errno)` gives the name. */
  readonly errno: number | undefined;
  /** How to fix it, if known. */
  readonly hint: string | undefined;

  constructor(code: TtunErrorCode, message: string, details: TtunErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.syscall = details.syscall;
    this.errno = details.errno;
    this.hint = details.hint;
  }

  // On the prototype, so that it is not among an error's own properties.
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'TtunError', configurable: true, writable: true });
  }
}

/** The reason of a system error without the call: the middle of `EROFS: read-only file system, mkdir '/run/ttun'`. */
export function describeSystemError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z0-9]+: (?<what>[^,]+), /.exec(message)?.groups?.['what'] ?? message;
}

/** How to raise the limit of open files that an error of Node is about, in the words of the core; `null` for other errors. */
export function hintForLimit(error: unknown): string | null {
  const { code }: Partial<NodeJS.ErrnoException> = Object(error);
  if (code === 'EMFILE')
    return 'raise the limit of open files (each tunnel needs 6): ulimit -n, or LimitNOFILE= in a systemd unit';
  return code === 'ENFILE' ? "raise this system's limit of open files: sysctl fs.file-max" : null;
}

/** Converts any thrown value to a TtunError. */
export function asTtunError(error: unknown): TtunError {
  if (error instanceof TtunError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const hint = hintForLimit(error);
  if (hint === null) return new TtunError('ERR_TTUN_INTERNAL', message, { cause: error });
  const { syscall, errno }: Partial<NodeJS.ErrnoException> = Object(error);
  return new TtunError('ERR_TTUN_SYSTEM', message, { syscall, errno, hint, cause: error });
}

/**
 * Refuses a value that is not an AbortSignal: JavaScript programs may pass one, and it would fail much later.
 *
 * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS`
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const given: unknown = signal;
  if (typeof given === 'object' && given !== null && 'aborted' in given && 'addEventListener' in given)
    return;
  throw new TtunError('ERR_TTUN_INVALID_OPTIONS', 'signal: not an AbortSignal', {
    hint: 'give the signal of an AbortController, or AbortSignal.timeout(ms)',
  });
}
