/** The options of a tunnel: one table of a file, or what `createTunnel` is given. */
import * as v from 'valibot';
import {
  checkEnds,
  InvalidValue,
  parseDeviceName,
  parseInterfaceName,
  parseLocal,
  parseRemote,
} from '../address.ts';
import type { ZoneLookup } from '../address.ts';
import { parseListen } from '../listen.ts';
import { formatNetwork, parseInterfaceAddress, parseNetwork, parseRoute } from '../network.ts';
import type { IpNetwork } from '../network.ts';
import { FILE_DEFAULTS, OFFLOAD_DEFAULTS, TUNNEL_DEFAULTS } from '../options.ts';
import type {
  InterfaceOptions,
  OffloadOptions,
  ResolvedInterface,
  ResolvedOptions,
  TunnelOptions,
} from '../options.ts';
import { agreeing, checkedBetween, flag, issueOf, parsedBy, text } from './schema-tools.ts';
import type { About, SchemaOf } from './schema-tools.ts';

/** What depends on where the options stand. */
export interface Setting {
  /** Finds the interfaces of link-local addresses; absent: among those of this host. */
  readonly zones?: ZoneLookup;
  /** Whether a deleted device is waited for where nothing is said of it. */
  readonly reattach: boolean;
}

export function tunnelSchema(setting: Setting): SchemaOf<TunnelOptions, ResolvedOptions> {
  return agreeing<TunnelOptions>()(
    v.pipe(
      v.strictObject({ ...ends(setting.zones), ...rest(setting) }),
      v.metadata({ description: 'A tunnel: a TUN device joined to a UDP socket.' }),
      checkedBetween<Table, 'local' | 'remote'>(['remote', 'local'], ({ local, remote }) =>
        checkEnds(local, remote),
      ),
      checkedBetween<Table, 'bindDevice' | 'device'>(['bindDevice', 'device'], (parts) => {
        if (parts.bindDevice !== parts.device) return;
        throw new InvalidValue(
          `datagrams sent by ${parts.device} would come back into the tunnel`,
          'name the interface that leads to the peer, as shown by: ip route get',
        );
      }),
      v.transform(
        ({ allowedSources = null, bindDevice = null, fwmark = null, ...others }): ResolvedOptions => ({
          ...others,
          allowedSources,
          bindDevice,
          fwmark,
          interface: others.interface ?? null,
        }),
      ),
    ),
  );
}

type Table = v.InferOutput<
  v.StrictObjectSchema<ReturnType<typeof ends> & ReturnType<typeof rest>, undefined>
>;

// The result's type spells out the schemas.
function ends(zones: ZoneLookup | undefined) {
  return {
    device: text(
      {
        description:
          'Name of a TUN device. One that exists is attached to as it is: its addresses, MTU and up/down state stay.',
        examples: ['tun0'],
        minLength: 1,
        maxLength: 15,
      },
      parseDeviceName,
    ),
    local: text(
      {
        description:
          'Address and port to which the UDP socket is bound. Numeric; an IPv6 address in brackets; a link-local one with its interface: [fe80::1%eth0]:8000. A port alone, as in :8000, leaves the address to the routing table.',
        examples: ['192.0.2.1:8000', '[2001:db8::1]:8000', ':8000'],
        pattern: ENDS_WITH_PORT,
      },
      (value) => parseLocal(value, zones),
    ),
    remote: text(
      {
        description:
          'Address and port of the peer, of the same family as the local address. Datagrams from anybody else are not received. A name in place of the address is resolved, and again whenever the peer falls silent.',
        examples: ['192.0.2.2:8000', 'gateway.example:8000'],
        pattern: ENDS_WITH_PORT,
      },
      (value) => parseRemote(value, zones),
    ),
  };
}

const ENDS_WITH_PORT = ':\\d{1,5}$';

const LARGEST_MARK = 2 ** 32 - 1;

function rest({ reattach }: Setting) {
  return {
    allowedSources: v.optional(
      v.pipe(
        v.array(
          text({ examples: ['10.0.2.0/24'], pattern: '^[\\dA-Fa-f.:]+(/\\d{1,3})?$' }, (value) =>
            formatNetwork(parseNetwork(value)),
          ),
        ),
        v.metadata({
          description:
            'Networks from which inner packets of the peer may come; others are dropped and counted as source-not-allowed. An address alone stands for itself. Absent: all are accepted.',
          examples: [['10.0.2.0/24']],
          minItems: 1,
        }),
        parsedBy((allowed) => {
          if (allowed.length > 0) return allowed;
          throw new InvalidValue(
            'an empty list would let no packet in',
            'name a network, or leave the option out to accept all',
          );
        }),
      ),
    ),
    clampMss: flag(
      'Lower the MSS option of TCP connections being opened through the tunnel, in either direction, so that their full segments fit the route to the peer.',
      TUNNEL_DEFAULTS.clampMss,
    ),
    bindDevice: v.optional(
      text(
        {
          description:
            "Interface by which alone the tunnel's datagrams leave and come, whatever the routing table says (SO_BINDTODEVICE).",
          examples: ['eth0'],
          minLength: 1,
          maxLength: 15,
        },
        (name) => parseInterfaceName(name, 'give the name of an interface, as shown by: ip link'),
      ),
    ),
    fwmark: v.optional(
      v.pipe(
        v.number(),
        v.metadata({
          description: "Mark of the tunnel's datagrams, for policy routing and firewalls (SO_MARK).",
          examples: [119],
          type: 'integer',
          minimum: 1,
          maximum: LARGEST_MARK,
        }),
        parsedBy((mark) => {
          if (Number.isInteger(mark) && mark >= 1 && mark <= LARGEST_MARK) return mark;
          throw new InvalidValue(`${mark} is not a mark`, `give a number from 1 to ${LARGEST_MARK}`);
        }),
      ),
    ),
    reattach: flag('Wait for a deleted device to come back rather than end.', reattach),
    interface: v.optional(INTERFACE),
    offload: v.optional(OFFLOAD, OFFLOAD_DEFAULTS),
  };
}

// The values that stand in `interface`.

/** A user or a group, by name or number. */
export function account(
  kind: 'user' | 'group',
  about: About,
): v.OptionalSchema<v.GenericSchema<string | number, string>, undefined> {
  const numeric = { type: 'integer', minimum: 0, maximum: LARGEST_ID };
  return v.optional(
    v.pipe(
      v.union([v.string(), v.pipe(v.number(), v.metadata(numeric))]),
      v.metadata(about),
      parsedBy((value) => parseAccount(kind, value)),
    ),
  );
}

function parseAccount(kind: 'user' | 'group', value: string | number): string {
  const right = `give the name or number of a ${kind}, as shown by: getent ${kind === 'user' ? 'passwd' : 'group'}`;
  if (typeof value === 'string') {
    if (/^[^\s:/,]{1,255}$/.test(value)) return value;
    throw new InvalidValue(`${JSON.stringify(value)} is not the name of a ${kind}`, right);
  }
  if (Number.isInteger(value) && value >= 0 && value <= LARGEST_ID) return String(value);
  throw new InvalidValue(`${value} is not the number of a ${kind}`, right);
}

/** 2^32 - 1 stands for nobody at all (setresuid(2)). */
const LARGEST_ID = 2 ** 32 - 2;

/** A list in which no network stands twice. */
export function networks(
  about: About,
  item: v.GenericSchema<string, IpNetwork>,
): v.OptionalSchema<v.GenericSchema<string[], IpNetwork[]>, undefined> {
  return v.optional(
    v.pipe(
      v.array(item),
      v.metadata({ ...about, uniqueItems: true }),
      v.rawCheck(({ dataset, addIssue }) => {
        if (!dataset.typed) return;
        const texts = dataset.value.map(formatNetwork);
        for (const [index, network] of texts.entries()) {
          if (texts.indexOf(network) === index) continue;
          const twice = new InvalidValue(`'${network}' is there twice`, 'leave one of them out');
          const { value: input } = dataset;
          addIssue({
            ...issueOf(twice),
            path: [{ type: 'array', origin: 'value', input, key: index, value: input[index] }],
          });
        }
      }),
    ),
  );
}

/** Least MTU with which an interface carries IPv4 (RFC 791, section 3.2) and IPv6 (RFC 8200, section 5), bytes. */
const LEAST_MTU = { ipv4: 68, ipv6: 1280 } as const;

/** What the kernel's driver takes at most (MAX_MTU in drivers/net/tun.c), bytes. */
const LARGEST_MTU = 65_535;

export const MTU: v.GenericSchema<number | 'auto', number | 'auto'> = v.pipe(
  v.union([
    v.pipe(v.number(), v.metadata({ type: 'integer', minimum: LEAST_MTU.ipv4, maximum: LARGEST_MTU })),
    v.literal('auto'),
  ]),
  v.metadata({
    description:
      "MTU of the device in bytes, or 'auto': that of the route to the peer less the outer headers (28 bytes in IPv4, 48 in IPv6), and not under 1280 where the inside speaks IPv6. Absent: as it is.",
    examples: ['auto', 1472],
  }),
  parsedBy((mtu) => {
    if (mtu === 'auto') return mtu;
    if (Number.isInteger(mtu) && mtu >= LEAST_MTU.ipv4 && mtu <= LARGEST_MTU) return mtu;
    throw new InvalidValue(
      `${mtu} is not an MTU`,
      `give a number of bytes from ${LEAST_MTU.ipv4} to ${LARGEST_MTU}, or 'auto'`,
    );
  }),
);

/** @throws InvalidValue where IPv6 is to travel inside and could not */
export function checkMtuFor(mtu: number, inside: readonly IpNetwork[]): void {
  const ipv6 = inside.find(({ family }) => family === 6);
  if (ipv6 === undefined || mtu >= LEAST_MTU.ipv6) return;
  throw new InvalidValue(
    `with an MTU of ${mtu} bytes the device cannot carry IPv6, as ${formatNetwork(ipv6)} asks for`,
    `give at least ${LEAST_MTU.ipv6}, or 'auto'`,
  );
}

// `interface`: what to set up of the device.

const table = v.strictObject({
  create: flag(
    'Make the device if it is not there; it vanishes when the tunnel ends, also by a crash.',
    false,
  ),
  persist: flag('Leave a device that was made, as it was set up, when the tunnel ends.', false),
  owner: account('user', {
    description: 'User, by name or number, who may attach to a device that is made. Absent: only root.',
    examples: ['alice', 1000],
  }),
  group: account('group', {
    description: 'Group, by name or number, whose members may attach to a device that is made.',
    examples: ['netdev', 1000],
  }),
  multiQueue: flag('Make the device for several queues (IFF_MULTI_QUEUE).', false),
  addresses: networks(
    {
      description: 'Addresses of the device, with their prefix lengths.',
      examples: [['10.0.2.1/24', 'fd00:2::1/64']],
    },
    text({ examples: ['10.0.2.1/24'], pattern: '^[\\dA-Fa-f.:]+/\\d{1,3}$' }, parseInterfaceAddress),
  ),
  routes: networks(
    { description: 'Networks to route into the tunnel.', examples: [['10.9.0.0/16']] },
    text({ examples: ['10.9.0.0/16'], pattern: '^[\\dA-Fa-f.:]+(/\\d{1,3})?$' }, parseRoute),
  ),
  mtu: v.optional(MTU),
  up: v.optional(
    v.pipe(
      v.boolean(),
      v.metadata({
        description: 'Bring the device up or down. Absent: up when it is made, otherwise as it is.',
      }),
    ),
  ),
});

type TableInterface = v.InferOutput<typeof table>;

export const INTERFACE: SchemaOf<InterfaceOptions, ResolvedInterface> = agreeing<InterfaceOptions>()(
  v.pipe(
    table,
    v.metadata({
      description:
        'What to set up of the device; needs root (CAP_NET_ADMIN). Only what is named is changed, and it is put back when the tunnel ends. Absent: the device is used as it is.',
    }),
    onlyWithCreate('persist'),
    onlyWithCreate('owner'),
    onlyWithCreate('group'),
    onlyWithCreate('multiQueue'),
    checkedBetween<TableInterface, 'mtu' | 'addresses' | 'routes'>(
      ['mtu', 'addresses', 'routes'],
      (parts) => {
        if (typeof parts.mtu !== 'number') return;
        checkMtuFor(parts.mtu, [...(parts.addresses ?? []), ...(parts.routes ?? [])]);
      },
    ),
    v.transform(
      ({
        owner = null,
        group = null,
        addresses = [],
        routes = [],
        mtu = null,
        up = null,
        ...flags
      }): ResolvedInterface => ({
        ...flags,
        owner,
        group,
        addresses: addresses.map(formatNetwork),
        routes: routes.map(formatNetwork),
        mtu,
        up,
      }),
    ),
  ),
);

/** Also where the device happens to be there: whoever names an owner believes that it is made with one. */
function onlyWithCreate(key: 'persist' | 'owner' | 'group' | 'multiQueue'): v.RawCheckAction<TableInterface> {
  return checkedBetween<TableInterface, 'create' | typeof key>([key, 'create'], (parts) => {
    if (parts.create || parts[key] === undefined || parts[key] === false) return;
    throw new InvalidValue('is only for a device that ttun makes', 'add create = true');
  });
}

export const OFFLOAD: SchemaOf<OffloadOptions, Required<OffloadOptions>> = agreeing<OffloadOptions>()(
  v.pipe(
    v.strictObject({
      checksum: flag(
        'The device hands over packets whose checksum is not filled in yet (TUN_F_CSUM). Without it tso and uso are off too.',
        OFFLOAD_DEFAULTS.checksum,
      ),
      tso: flag(
        'The device hands over and takes TCP super-packets of up to 64 KiB (TUN_F_TSO4, TUN_F_TSO6).',
        OFFLOAD_DEFAULTS.tso,
      ),
      uso: flag(
        'The device hands over and takes runs of UDP datagrams as one (TUN_F_USO4, TUN_F_USO6; kernel 6.2 and later).',
        OFFLOAD_DEFAULTS.uso,
      ),
      segment: flag('One send carries up to 64 datagrams (UDP_SEGMENT).', OFFLOAD_DEFAULTS.segment),
      receive: flag('One receive brings many datagrams (UDP_GRO).', OFFLOAD_DEFAULTS.receive),
      virtioHeader: flag(
        'Packets of the device carry a virtio-net header (IFF_VNET_HDR). Without it checksum, tso and uso are off too.',
        OFFLOAD_DEFAULTS.virtioHeader,
      ),
    }),
    v.metadata({
      description:
        "What may be used at most of the kernel's offloads. What a kernel lacks is done without in any case; each can be switched off to find a fault.",
    }),
  ),
);

// A whole configuration file.

/** What a file holds, in the notation of TOML or JSON. */
export interface ConfigFile {
  /** Where the schema for editors is, in JSON files. */
  readonly $schema?: string;
  readonly http?: {
    /** Where metrics and the page are served. */
    readonly listen: string;
  };
  /** The tunnels by their names. */
  readonly tunnels: { readonly [name: string]: TunnelOptions };
}

export interface ResolvedFile {
  readonly $schema?: string | undefined;
  readonly http?: { readonly listen: string } | undefined;
  readonly tunnels: Readonly<Record<string, ResolvedOptions>>;
}

export function fileSchema(zones: ZoneLookup): SchemaOf<ConfigFile, ResolvedFile> {
  return agreeing<ConfigFile>()(
    v.pipe(
      v.strictObject({
        $schema: v.optional(
          v.pipe(
            v.string(),
            v.metadata({
              description: 'Where the schema for editors is.',
              examples: ['./node_modules/ttun/schema/ttun.schema.json'],
            }),
          ),
        ),
        http: v.optional(HTTP),
        tunnels: v.pipe(
          v.record(TUNNEL_NAME, tunnelSchema({ zones, ...FILE_DEFAULTS })),
          v.metadata({ description: 'The tunnels by their names.', minProperties: 1 }),
          parsedBy((tunnels) => {
            if (Object.keys(tunnels).length > 0) return tunnels;
            throw new InvalidValue('no tunnel is there', 'add tunnels.NAME with device, local and remote');
          }),
        ),
      }),
      v.metadata({ title: 'ttun', description: 'The configuration of ttun up.' }),
    ),
  );
}

const HTTP = v.pipe(
  v.strictObject({
    listen: text(
      {
        description:
          'Address and port at which /metrics, /stats and the page are served to everybody who can reach them: 127.0.0.1 and [::1] are reached from this host only, as is a port alone; :9750 stands for all addresses of this host.',
        examples: ['127.0.0.1:9750', '[::1]:9750', ':9750'],
        pattern: '^(.*:)?\\d{1,5}$',
      },
      checkListen,
    ),
  }),
  v.metadata({ description: 'Metrics and a page of the tunnels by HTTP. Absent: none.' }),
);

/** It is parsed again by the server, which others start with text, too. */
function checkListen(listen: string): string {
  parseListen(listen);
  return listen;
}

const TUNNEL_NAME = text({ pattern: '^[A-Za-z0-9._-]{1,64}$' }, (name) => {
  if (/^[\w.-]{1,64}$/.test(name)) return name;
  throw new InvalidValue(
    name.length > 64 ? 'the name of a tunnel is longer than 64 characters' : 'is not a name for a tunnel',
    'use letters, digits and . _ - as in [tunnels.office]',
  );
});
