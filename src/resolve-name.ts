/** Names of peers, looked up by the system's own resolver: /etc/hosts, DNS and whatever else it is told to ask. */
import { lookup } from 'node:dns/promises';
import { checkRemoteAddress, InvalidValue, parseIpAddress } from './address.ts';
import type { IpAddress } from './address.ts';
import { TtunError } from './errors.ts';
import type { LocalEndpoint } from './options.ts';
import { checkEnds } from './tunnel-ends.ts';

/** A peer that is known by name, and what its address has to fit. */
export interface NamedPeer {
  readonly name: string;
  readonly port: number;
  /** Where the tunnel's own socket is; its address settles the family. */
  readonly local: LocalEndpoint;
}

/** At least one. */
export type Addresses = readonly [IpAddress, ...IpAddress[]];

/**
 * The addresses of the peer to which this tunnel can send, in the order in which the system would try them.
 *
 * @param signal when it is aborted before the lookup has begun, there is none, and its reason is thrown
 * @throws TtunError with code `ERR_TTUN_NAME_NOT_RESOLVED` when there is none at present
 */
export async function resolveName(
  { name, port, local }: NamedPeer,
  family: 4 | 6 | null,
  signal?: AbortSignal,
): Promise<Addresses> {
  const found = await inTurn(() => lookUp(name, family), signal);
  const unusable: InvalidValue[] = [];
  const usable = found.flatMap((text) => {
    try {
      const address = parseIpAddress(text);
      checkRemoteAddress(address);
      checkEnds(local, { address, port });
      return [address];
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      unusable.push(error);
      return [];
    }
  });
  const [first, ...others] = usable;
  if (first !== undefined) return [first, ...others];
  throw notResolved(`${name} has no address that can be used: ${unusable[0]?.message}`, name);
}

async function lookUp(name: string, family: 4 | 6 | null): Promise<string[]> {
  try {
    const found = await lookup(name, { all: true, family: family ?? 0 });
    return found.map(({ address }) => address);
  } catch (error) {
    throw notResolved(`${name}: ${describe(codeOf(error), family)}`, name, error);
  }
}

function codeOf(error: unknown): string {
  // What is wrong with the call, and not with the name, would be a bug and never change.
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
  return String(error.code);
}

function describe(code: string, family: 4 | 6 | null): string {
  if (code === 'ENOTFOUND') return family === null ? 'not found' : `no IPv${family} address found`;
  if (code === 'EAI_AGAIN') return 'no name server answers';
  return `looking it up failed (${code})`;
}

function notResolved(message: string, name: string, cause?: unknown): TtunError {
  return new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', message, {
    hint: `see what the system knows of it with: getent ahosts ${name}`,
    cause,
  });
}

/**
 * The system's resolver blocks a thread of Node's pool, of which there are four, for many seconds when no name server
 * answers. Many tunnels together are not to take them all from the rest of the program.
 */
const AT_ONCE = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    signal?.throwIfAborted();
    return await action();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
