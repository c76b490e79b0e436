/**
 * The schema of a tunnel's options and of configuration files. It declares each option once: its name, description, type,
 * default and check. The TypeScript interfaces (options.ts), the JSON Schema for editors, ttun.toml(5) and the tables of
 * docs/configuration.md are generated from it: `npm run schema`.
 */
import * as v from 'valibot';
import { checkEnds, InvalidValue, parseLocal, parseRemote } from './address.ts';
import type { LocalEndpoint, RemoteEndpoint } from './address.ts';
import { checkLearned, checkPeers, parsePeers } from './learn.ts';
import { parseListen } from './listen.ts';
import { formatNetwork, parseDeviceName, parseInterfaceName, parseNetwork } from './network.ts';
import type { IpNetwork } from './network.ts';
import type { ResolvedProbe } from './probe-options.ts';
import { INTERFACE } from './schema-interface.ts';
import type { ResolvedInterface } from './schema-interface.ts';
import { checkZeroChecksum6, PATH_OPTIONS } from './schema-path.ts';
import { checkProbe, PROBE } from './schema-probe.ts';
import { QUEUE_OPTIONS } from './schema-queue.ts';
import { checkedBetween, checkedBy, distinct, filled, flag, integer, text } from './schema-tools.ts';

// The output of the schema: checked values, with the defaults filled in. `null` means an absent option.

/** The options of a tunnel. Host names and zones are still names: they are looked up when a socket is opened. */
export interface ResolvedOptions {
  readonly device: string;
  readonly local: LocalEndpoint;
  readonly remote: RemoteEndpoint;
  readonly peers: readonly IpNetwork[] | null;
  readonly allowedSources: readonly IpNetwork[] | null;
  readonly clampMss: boolean;
  readonly bindDevice: string | null;
  readonly fwmark: number | null;
  readonly pathMtu: 'fragment' | 'discover';
  readonly queue: boolean;
  /** Bits per second. */
  readonly rate: number | null;
  readonly sendBuffer: number | null;
  /** Milliseconds. */
  readonly busyPoll: number | null;
  readonly ecn: boolean;
  /** 0 to 63, or that of the packet inside. */
  readonly dscp: number | 'inherit';
  readonly zeroChecksum6: boolean;
  readonly reattach: boolean;
  readonly probe: ResolvedProbe | null;
  readonly interface: ResolvedInterface | null;
  readonly offload: ResolvedOffload;
}

export interface ResolvedOffload {
  readonly checksum: boolean;
  readonly tso: boolean;
  readonly uso: boolean;
  readonly segment: boolean;
  readonly receive: boolean;
  readonly virtioHeader: boolean;
}

export interface ResolvedFile {
  readonly http: { readonly listen: string } | null;
  /** By name, in the order of the file. */
  readonly tunnels: ReadonlyMap<string, ResolvedOptions>;
}

// The offloads.

const OFFLOAD_OPTIONS = {
  checksum: flag(
    'The device delivers packets whose checksum is not filled in yet (`TUN_F_CSUM`). Without it, `tso` and `uso` are off too.',
    true,
  ),
  tso: flag(
    'The device delivers and accepts TCP super-packets of up to 64 KiB (`TUN_F_TSO4`, `TUN_F_TSO6`).',
    true,
  ),
  uso: flag(
    'The device delivers and accepts runs of UDP datagrams as one super-packet (`TUN_F_USO4`, `TUN_F_USO6`; kernel 6.2 and later).',
    true,
  ),
  segment: flag('One system call sends up to 64 datagrams (`UDP_SEGMENT`).', true),
  receive: flag('One system call receives many datagrams (`UDP_GRO`).', true),
  virtioHeader: flag(
    'Packets of the device carry a virtio-net header (`IFF_VNET_HDR`). Without it, `checksum`, `tso` and `uso` are off too.',
    true,
  ),
};

const OFFLOAD: v.GenericSchema<unknown, ResolvedOffload> = v.pipe(
  v.strictObject(OFFLOAD_OPTIONS),
  v.metadata({
    description:
      'Kernel offloads that may be used. Those that the kernel lacks are never used; each can be turned off to isolate a fault.',
  }),
);

// The tunnel.

const LARGEST_MARK = 2 ** 32 - 1;
const ENDS_WITH_PORT = ':\\d{1,5}$';

const TUNNEL_OPTIONS = {
  device: text(
    {
      description:
        'Name of the TUN device. One that exists is used as it is: its addresses, MTU and up/down state stay unchanged.',
      examples: ['tun0'],
      minLength: 1,
      maxLength: 15,
    },
    parseDeviceName,
  ),
  local: text(
    {
      description:
        'Numeric address and port that the UDP socket is bound to: `192.0.2.1:8000`, `[2001:db8::1]:8000`, or with the interface of a link-local address, `[fe80::1%eth0]:8000`. `:8000` leaves the address to the routing table.',
      examples: ['192.0.2.1:8000', '[2001:db8::1]:8000', ':8000'],
      pattern: ENDS_WITH_PORT,
    },
    parseLocal,
  ),
  remote: text(
    {
      description:
        'Address and port of the peer, of the same family as the local address, unless that is left open; datagrams from other addresses are not received. A host name in place of the address (`gateway.example:8000`) is resolved when the tunnel opens, and again while nothing is heard from the peer; its addresses are tried in turn until one answers. `learn`: the peer is whoever sends a valid packet from one of the networks in `peers`, for a peer behind NAT.',
      examples: ['192.0.2.2:8000', 'gateway.example:8000', 'learn'],
      pattern: `${ENDS_WITH_PORT}|^learn$`,
    },
    parseRemote,
  ),
  peers: v.optional(
    v.pipe(
      v.array(text({ examples: ['203.0.113.0/24'], pattern: '^[\\dA-Fa-f.:]+(/\\d{1,3})?$' }, parsePeers)),
      v.metadata({
        description:
          'Networks from which the peer may send, with `remote = "learn"`; they are addresses outside the tunnel, all of one family. The first who sends a packet becomes the peer. Another address takes over once the peer has been silent for 5 s, another port of the same address at once. `0.0.0.0/0` or `::/0` accepts everyone.',
        examples: [['203.0.113.0/24']],
        minItems: 1,
        uniqueItems: true,
      }),
      distinct(formatNetwork),
    ),
  ),
  allowedSources: v.optional(
    v.pipe(
      v.array(text({ examples: ['10.0.2.0/24'], pattern: '^[\\dA-Fa-f.:]+(/\\d{1,3})?$' }, parseNetwork)),
      v.metadata({
        description:
          'Networks that inner packets from the peer may come from; others are dropped and counted as `source-not-allowed`. An address without a prefix length is a single host. Absent: all are accepted.',
        examples: [['10.0.2.0/24']],
        minItems: 1,
      }),
      checkedBy((allowed) => {
        if (allowed.length > 0) return;
        throw new InvalidValue(
          'an empty list would accept no packet',
          'give a network, or omit the option to accept all',
        );
      }),
    ),
  ),
  clampMss: flag(
    'Lower the MSS option of TCP connections opened through the tunnel, in either direction, so that their full segments fit the route to the peer.',
    true,
  ),
  bindDevice: v.optional(
    text(
      {
        description:
          "The only interface that the tunnel's datagrams may use, regardless of the routing table (`SO_BINDTODEVICE`).",
        examples: ['eth0'],
        minLength: 1,
        maxLength: 15,
      },
      (name) => parseInterfaceName(name, 'give the name of an interface, as shown by: ip link'),
    ),
  ),
  fwmark: v.optional(
    integer(
      {
        description:
          "Mark of the tunnel's datagrams, for policy routing and firewalls (`SO_MARK`): 1 to 4294967295.",
        examples: [119],
        minimum: 1,
        maximum: LARGEST_MARK,
      },
      'a mark',
    ),
  ),
  ...PATH_OPTIONS,
  ...QUEUE_OPTIONS,
  reattach: flag('Wait for a deleted device to reappear instead of failing.', false),
  probe: v.optional(PROBE),
  interface: v.optional(INTERFACE),
  offload: v.optional(OFFLOAD, {}),
};

type TunnelTable = v.InferOutput<v.StrictObjectSchema<typeof TUNNEL_OPTIONS, undefined>>;

/** @param defaults those that differ from the ones above */
function tunnelSchema(defaults: Partial<typeof TUNNEL_OPTIONS>): v.GenericSchema<unknown, ResolvedOptions> {
  const entries = { ...TUNNEL_OPTIONS, ...defaults };
  return v.pipe(
    v.strictObject(entries),
    v.metadata({
      description:
        'The options of a tunnel, which joins a TUN device to a UDP socket; the same in TOML, JSON and TypeScript. Unknown options are errors.',
    }),
    checkedBetween<TunnelTable, 'local' | 'remote'>(['remote', 'local'], ({ local, remote }) =>
      checkEnds(local, remote),
    ),
    checkedBetween<TunnelTable, 'remote' | 'peers'>(['remote', 'peers'], ({ remote, peers }) =>
      checkLearned(remote, peers),
    ),
    checkedBetween<TunnelTable, 'peers' | 'remote' | 'local'>(['peers', 'remote', 'local'], (parts) => {
      if (parts.peers !== undefined) checkPeers(parts.local, parts.remote, parts.peers);
    }),
    checkedBetween<TunnelTable, 'bindDevice' | 'device'>(['bindDevice', 'device'], (parts) => {
      if (parts.bindDevice !== parts.device) return;
      throw new InvalidValue(
        `datagrams sent by ${parts.device} would re-enter the tunnel`,
        'give the interface that leads to the peer, as shown by: ip route get',
      );
    }),
    checkedBetween<TunnelTable, 'zeroChecksum6' | 'local' | 'remote' | 'peers'>(
      ['zeroChecksum6', 'local', 'remote', 'peers'],
      ({ zeroChecksum6, local, remote, peers }) => checkZeroChecksum6(zeroChecksum6, local, remote, peers),
    ),
    checkedBetween<TunnelTable, 'probe' | 'interface'>(['probe', 'interface'], (parts) => {
      if (parts.probe && parts.interface) checkProbe(parts.probe.address, parts.interface.addresses);
    }),
    filled<TunnelTable>(entries),
  );
}

/** The options of `createTunnel`. */
export const TUNNEL: v.GenericSchema<unknown, ResolvedOptions> = tunnelSchema({});

// The file.

const TUNNEL_NAME = text({ pattern: '^[A-Za-z0-9._-]{1,64}$' }, (name) => {
  if (/^[\w.-]{1,64}$/.test(name)) return name;
  throw new InvalidValue(
    name.length > 64 ? 'the name of a tunnel is longer than 64 characters' : 'is not a valid tunnel name',
    'use letters, digits and . _ - as in [tunnels.office]',
  );
});

const FILE_OPTIONS = {
  $schema: v.optional(
    v.pipe(
      v.string(),
      v.metadata({
        description: 'Location of the JSON Schema, for editors.',
        examples: ['./node_modules/ttun/schema/ttun.schema.json'],
      }),
    ),
  ),
  http: v.optional(
    v.pipe(
      v.strictObject({
        listen: v.pipe(
          v.string(),
          v.metadata({
            description:
              'Address and port on which to serve /metrics, /stats and the page, without authentication. 127.0.0.1, `[::1]` and a port alone are reachable from this host only; `:9750` means all addresses of this host.',
            examples: ['127.0.0.1:9750', '[::1]:9750', ':9750'],
            pattern: '^(.*:)?\\d{1,5}$',
          }),
          // Stays text, because reports show it and the server also gets it from the command line.
          checkedBy((listen) => void parseListen(listen)),
        ),
      }),
      v.metadata({ description: 'Serve metrics and a status page over HTTP. Absent: not served.' }),
    ),
  ),
  tunnels: v.pipe(
    v.record(
      TUNNEL_NAME,
      // `ttun up` keeps its tunnels running.
      tunnelSchema({ reattach: v.optional(TUNNEL_OPTIONS.reattach.wrapped, true) }),
    ),
    v.metadata({ description: 'The tunnels by name.', minProperties: 1 }),
    checkedBy((tunnels) => {
      if (Object.keys(tunnels).length > 0) return;
      throw new InvalidValue('no tunnel is defined', 'add tunnels.NAME with device, local and remote');
    }),
  ),
};

/** A configuration file. */
export const FILE: v.GenericSchema<unknown, ResolvedFile> = v.pipe(
  v.strictObject(FILE_OPTIONS),
  v.metadata({ title: 'ttun', description: 'The configuration of ttun up.' }),
  v.transform(({ http = null, tunnels }) => ({ http, tunnels: new Map(Object.entries(tunnels)) })),
);
