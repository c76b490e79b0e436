/** The options of a tunnel: their meaning, their defaults, and what is wrong with them. */
import { inspect } from 'node:util';
import {
  checkEndpointPair,
  checkRemoteAddress,
  checkUnicast,
  InvalidValue,
  parseEndpoint,
  parseIpAddress,
} from './address.ts';
import type { Endpoint, IpAddress } from './address.ts';
import { TtunError } from './errors.ts';

/**
 * What a tunnel is made of; the same names in TypeScript, TOML and JSON. Every property is checked; one that is not known is
 * an error.
 */
export interface TunnelOptions {
  /** Name of a TUN device. One that exists is attached to as it is: its addresses, MTU and up/down state stay. */
  readonly device: string;
  /**
   * Address and port to which the UDP socket is bound: `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `[fe80::1%eth0]:8000`.
   * Numeric. `:8000` leaves the address to the routing table.
   */
  readonly local: string;
  /**
   * Address and port of the peer, of the same family. Datagrams from any other address or port are not received. In place of
   * the address a name may stand (`gateway.example:8000`): it is resolved, and again whenever the peer falls silent.
   */
  readonly remote: string;
  /**
   * Networks such as `10.0.2.0/24` from which inner packets of the peer may come; others are dropped and counted as
   * `source-not-allowed`. An address alone stands for itself. Absent: all are accepted.
   */
  readonly allowedSources?: readonly string[];
  /**
   * Lower the MSS option of TCP connections being opened through the tunnel, in either direction, so that their full
   * segments fit the route to the peer. Default `true`; `false` leaves packets as they are.
   */
  readonly clampMss?: boolean;
  /** Interface by which alone the tunnel's datagrams leave and come, whatever the routing table says (`SO_BINDTODEVICE`). */
  readonly bindDevice?: string;
  /** Mark of the tunnel's datagrams, for policy routing and firewalls (`SO_MARK`): 1 to 4,294,967,295. */
  readonly fwmark?: number;
  /** Wait for a deleted device to come back rather than end. Default `false`, in `ttun up` `true`. */
  readonly reattach?: boolean;
  /** What to set up of the device. Absent: it is used as it is. */
  readonly interface?: InterfaceOptions;
  /** What may be used at most of the kernel's offloads. */
  readonly offload?: OffloadOptions;
}

/**
 * What to set up of the device; needs root (CAP_NET_ADMIN). Only what is named is changed, and it is put back when the tunnel
 * ends.
 */
export interface InterfaceOptions {
  /** Make the device if it is not there; it vanishes when the tunnel ends, also by a crash. Default `false`. */
  readonly create?: boolean;
  /** Leave a device that was made, as it was set up, when the tunnel ends. Default `false`. */
  readonly persist?: boolean;
  /** User, by name or number, who may attach to a device that is made. Default: only root. */
  readonly owner?: string | number;
  /** Group, by name or number, whose members may attach to a device that is made. */
  readonly group?: string | number;
  /** Make the device for several queues (`IFF_MULTI_QUEUE`). Default `false`. */
  readonly multiQueue?: boolean;
  /** Addresses of the device with their prefix lengths: `10.0.2.1/24`, `fd00:2::1/64`. */
  readonly addresses?: readonly string[];
  /** Networks to route into the tunnel: `10.9.0.0/16`. */
  readonly routes?: readonly string[];
  /**
   * MTU of the device in bytes, or `'auto'`: that of the route to the peer less the outer headers (28 bytes in IPv4, 48 in
   * IPv6), and not under 1280 where the inside speaks IPv6. Default: as it is.
   */
  readonly mtu?: number | 'auto';
  /** Bring the device up or down. Default: up when it is made, otherwise as it is. */
  readonly up?: boolean;
}

/**
 * What may be used at most of the kernel's offloads. What a kernel lacks is done without in any case; each can be switched
 * off to find a fault, or for kernels in which it has one. All default to `true`.
 */
export interface OffloadOptions {
  /** The device hands over packets whose checksum is not filled in yet (`TUN_F_CSUM`). Without it `tso` and `uso` are off too. */
  readonly checksum?: boolean;
  /** The device hands over and takes TCP super-packets of up to 64 KiB (`TUN_F_TSO4`, `TUN_F_TSO6`). */
  readonly tso?: boolean;
  /** The device hands over and takes runs of UDP datagrams as one (`TUN_F_USO4`, `TUN_F_USO6`; kernel 6.2 and later). */
  readonly uso?: boolean;
  /** One send carries up to 64 datagrams (`UDP_SEGMENT`). */
  readonly segment?: boolean;
  /** One receive brings many datagrams (`UDP_GRO`). */
  readonly receive?: boolean;
  /** Packets of the device carry a virtio-net header (`IFF_VNET_HDR`). Without it `checksum`, `tso` and `uso` are off too. */
  readonly virtioHeader?: boolean;
}

/** Options that were checked, with their defaults filled in. */
export interface ResolvedOptions {
  readonly device: string;
  readonly local: LocalEndpoint;
  readonly remote: RemoteEndpoint;
  /** As `address/prefix length`; `null` accepts all. */
  readonly allowedSources: readonly string[] | null;
  readonly clampMss: boolean;
  readonly bindDevice: string | null;
  readonly fwmark: number | null;
  readonly reattach: boolean;
  readonly interface: ResolvedInterface | null;
  readonly offload: Readonly<Required<OffloadOptions>>;
}

/** Where the tunnel's own socket is; `null` leaves the address to the routing table. */
export interface LocalEndpoint {
  readonly address: IpAddress | null;
  readonly port: number;
}

/** Where the peer is: an address, or a name that is still to be resolved. */
export type RemoteEndpoint =
  | { readonly address: IpAddress; readonly name?: undefined; readonly port: number }
  | { readonly name: string; readonly address?: undefined; readonly port: number };

export interface ResolvedInterface {
  readonly create: boolean;
  readonly persist: boolean;
  readonly owner: string | null;
  readonly group: string | null;
  readonly multiQueue: boolean;
  /** As `address/prefix length`. */
  readonly addresses: readonly string[];
  /** As `address/prefix length`. */
  readonly routes: readonly string[];
  readonly mtu: number | 'auto' | null;
  readonly up: boolean | null;
}

const OFFLOAD_KEYS = ['checksum', 'tso', 'uso', 'segment', 'receive', 'virtioHeader'] as const;
const TUNNEL_KEYS = ['device', 'local', 'remote', 'allowedSources', 'clampMss', 'offload'] as const;

/**
 * Checks options and fills in the defaults.
 *
 * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS` that names everything that is wrong at once
 */
export function resolveOptions(options: TunnelOptions): ResolvedOptions {
  const problems = new Problems();
  const table = new OptionTable(options, TUNNEL_KEYS, '', problems);
  const device = table.required('device', parseDeviceName);
  const local = table.required('local', parseLocal);
  const remote = table.required('remote', parseRemote);
  if (local !== undefined && remote !== undefined) {
    problems.attempt('remote', () => checkEndpointPair(local, remote));
  }
  const allowedSources = table.optional('allowedSources', parseNetworks, null);
  const clampMss = table.optional('clampMss', parseBoolean, true);

  const offloadTable = new OptionTable(
    table.optional('offload', parseTable, {}),
    OFFLOAD_KEYS,
    'offload.',
    problems,
  );
  const allowed = (key: (typeof OFFLOAD_KEYS)[number]): boolean =>
    offloadTable.optional(key, parseBoolean, true);
  const offload = {
    checksum: allowed('checksum'),
    tso: allowed('tso'),
    uso: allowed('uso'),
    segment: allowed('segment'),
    receive: allowed('receive'),
    virtioHeader: allowed('virtioHeader'),
  };

  if (device === undefined || local === undefined || remote === undefined || problems.found) {
    throw problems.toError();
  }
  return {
    device,
    local,
    remote,
    allowedSources,
    clampMss,
    bindDevice: null,
    fwmark: null,
    reattach: false,
    interface: null,
    offload,
  };
}

/** Collects what is wrong, so that one error can tell all of it. */
class Problems {
  readonly #list: { readonly option: string; readonly problem: string; readonly hint: string }[] = [];

  get found(): boolean {
    return this.#list.length > 0;
  }

  add(option: string, { message, hint }: InvalidValue): void {
    this.#list.push({ option, problem: message, hint });
  }

  /** The result of `action`, or `undefined` when it finds the option's value invalid. */
  attempt<T>(option: string, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      this.add(option, error);
      return undefined;
    }
  }

  toError(): TtunError {
    const message = this.#list.map(({ option, problem }) => `${option}: ${problem}`).join('; ');
    const hint = this.#list.map((entry) => entry.hint).join('; ');
    return new TtunError('ERR_TTUN_INVALID_OPTIONS', message, { hint });
  }
}

/** The properties of one object of options. */
class OptionTable<Key extends string> {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #prefix: string;
  readonly #problems: Problems;

  constructor(options: unknown, keys: readonly Key[], prefix: string, problems: Problems) {
    const table = problems.attempt(prefix === '' ? 'options' : prefix, () => parseTable(options)) ?? {};
    this.#values = new Map(Object.entries(table));
    this.#prefix = prefix;
    this.#problems = problems;
    const known: ReadonlySet<string> = new Set(keys);
    for (const key of this.#values.keys()) {
      if (known.has(key)) continue;
      problems.add(
        `${prefix}${key}`,
        new InvalidValue('unknown option', `the options are ${keys.join(', ')}`),
      );
    }
  }

  required<T>(key: Key, parse: (value: unknown) => T): T | undefined {
    return this.#problems.attempt(`${this.#prefix}${key}`, () => parse(this.#values.get(key)));
  }

  /** As when absent, a property that is there but `undefined` stands for the default. */
  optional<T>(key: Key, parse: (value: unknown) => T, fallback: T): T {
    if (this.#values.get(key) === undefined) return fallback;
    return this.required(key, parse) ?? fallback;
  }
}

function parseTable(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new InvalidValue(`${show(value)} is not an object`, 'give an object of options');
}

function parseBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidValue(`${show(value)} is not a boolean`, 'give true or false');
}

function parseString(value: unknown, example: string): string {
  if (typeof value === 'string') return value;
  const problem = value === undefined ? 'is missing' : `${show(value)} is not a string`;
  throw new InvalidValue(problem, `give a string such as '${example}'`);
}

/** The rules of the kernel for names of interfaces (dev_valid_name in net/core/dev.c). */
function parseDeviceName(value: unknown): string {
  const name = parseString(value, 'tun0');
  const right = 'give the name of a TUN device, as shown by: ip tuntap';
  if (name === '') throw new InvalidValue('the name is empty', right);
  if (Buffer.byteLength(name) > 15) {
    throw new InvalidValue(`'${name}' is longer than the 15 bytes that an interface's name may have`, right);
  }
  if (name === '.' || name === '..' || /[\s/:\0]/.test(name)) {
    throw new InvalidValue(`${show(name)} is not a name that an interface can have`, right);
  }
  return name;
}

function parseLocal(value: unknown): Endpoint {
  const endpoint = parseEndpoint(parseString(value, '192.0.2.1:8000'));
  checkUnicast(endpoint.address);
  return endpoint;
}

function parseRemote(value: unknown): Endpoint {
  const endpoint = parseEndpoint(parseString(value, '192.0.2.2:8000'));
  checkRemoteAddress(endpoint.address);
  return endpoint;
}

function parseNetworks(value: unknown): string[] {
  if (!Array.isArray(value)) {
    throw new InvalidValue(`${show(value)} is not an array`, "give an array such as ['10.0.2.0/24']");
  }
  if (value.length === 0) {
    throw new InvalidValue(
      'an empty list would let no packet in',
      'name a network, or leave the option out to accept all',
    );
  }
  return value.map(parseNetwork);
}

/** `10.0.2.0/24`, or an address alone, which is completed to its full prefix length. */
function parseNetwork(value: unknown): string {
  const text = parseString(value, '10.0.2.0/24');
  const [address = '', length, ...rest] = text.split('/');
  const { family, text: canonical } = parseIpAddress(address);
  const longest = family === 4 ? 32 : 128;
  const prefix = length === undefined ? longest : Number(/^\d{1,3}$/.exec(length)?.[0]);
  if (rest.length === 0 && prefix <= longest) return `${canonical}/${prefix}`;
  throw new InvalidValue(
    `'${text}' has no prefix length from 0 to ${longest}`,
    `write it as '${canonical}/${longest}'`,
  );
}

function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : inspect(value, { depth: 0, breakLength: Infinity });
}
