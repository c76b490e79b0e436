import { TtunError } from '../errors.ts';
import type { TtunErrorCode } from '../errors.ts';
import { formatAuthority } from './listen.ts';
import type { ListenAddress } from './listen.ts';

/** Why it is not possible to listen there, and what to do about it. */
export function toListenError(error: unknown, { host, port }: ListenAddress): TtunError {
  const where = host === null ? `port ${port} of all addresses` : formatAuthority(host, port);
  const { code, syscall, errno, message } = asSystemError(error);
  const [ttunCode, problem, hint] = describe(code, host, port) ?? ['ERR_TTUN_SYSTEM', message, undefined];
  return new TtunError(ttunCode, `cannot serve HTTP at ${where}: ${problem}`, {
    syscall,
    errno,
    hint,
    cause: error,
  });
}

type Description = readonly [code: TtunErrorCode, problem: string, hint: string];

function describe(errorCode: string | undefined, host: string | null, port: number): Description | null {
  switch (errorCode) {
    case 'EADDRINUSE':
      return [
        'ERR_TTUN_PORT_IN_USE',
        'another program listens there',
        `see which with: ss -ltnp 'sport = ${port}'; or choose another port`,
      ];
    case 'EACCES':
    case 'EPERM':
      return [
        'ERR_TTUN_PORT_PERMISSION',
        `this user may not listen at port ${port}`,
        'choose a port above 1023',
      ];
    case 'EADDRNOTAVAIL':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `no interface of this host has the address ${host}`,
        'see which ones there are with: ip address; 127.0.0.1 is always there',
      ];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `${host} has no address`,
        'give an address of this host, such as 127.0.0.1',
      ];
    default:
      return null;
  }
}

function asSystemError(error: unknown): NodeJS.ErrnoException {
  return error instanceof Error ? error : new Error(String(error));
}
