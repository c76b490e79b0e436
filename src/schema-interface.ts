/** The schema of `interface`: the settings of the device. */
import * as v from 'valibot';
import { InvalidValue } from './address.ts';
import {
  formatNetwork,
  IPV4_MINIMUM_MTU,
  IPV6_MINIMUM_MTU,
  MAXIMUM_MTU,
  parseInterfaceAddress,
  parseRoute,
} from './network.ts';
import type { IpNetwork } from './network.ts';
import { checkedBetween, checkedBy, distinct, filled, flag, integer, text } from './schema-tools.ts';
import type { About } from './schema-tools.ts';

/** The output of the schema: checked values, with the defaults filled in. `null` means an absent option. */
export interface ResolvedInterface {
  readonly create: boolean;
  readonly persist: boolean;
  readonly owner: string | null;
  readonly group: string | null;
  readonly multiQueue: boolean;
  readonly addresses: readonly IpNetwork[];
  readonly routes: readonly IpNetwork[];
  readonly mtu: number | 'auto' | null;
  readonly up: boolean | null;
  readonly restore: boolean;
}

const LARGEST_ID = 2 ** 32 - 2; // 2^32 - 1 means "unchanged" (setresuid(2)).

/** A user or a group, by name or number. */
function account(kind: 'user' | 'group', about: About): v.GenericSchema<string | number, string> {
  const hint = `give the name or number of a ${kind}, as shown by: getent ${kind === 'user' ? 'passwd' : 'group'}`;
  const name = v.pipe(
    v.string(),
    checkedBy((value) => {
      if (/^[^\s:/,]{1,255}$/.test(value)) return;
      throw new InvalidValue(`${JSON.stringify(value)} is not a ${kind} name`, hint);
    }),
  );
  const id = integer({ minimum: 0, maximum: LARGEST_ID }, `a ${kind} ID`, hint);
  return v.pipe(v.union([name, id]), v.metadata(about), v.transform(String));
}

const INTERFACE_OPTIONS = {
  create: flag(
    'Create the device if it does not exist; it disappears when the tunnel closes, even after a crash.',
    false,
  ),
  persist: flag('Keep a created device, with its settings, when the tunnel closes.', false),
  owner: v.optional(
    account('user', {
      description: 'User, by name or number, who may attach to a created device. Absent: only root.',
      examples: ['alice', 1000],
    }),
  ),
  group: v.optional(
    account('group', {
      description: 'Group, by name or number, whose members may attach to a created device.',
      examples: ['netdev', 1000],
    }),
  ),
  multiQueue: flag('Create the device with several queues (`IFF_MULTI_QUEUE`).', false),
  addresses: v.optional(
    v.pipe(
      v.array(
        text({ examples: ['10.0.2.1/24'], pattern: '^[\\dA-Fa-f.:]+/\\d{1,3}$' }, parseInterfaceAddress),
      ),
      v.metadata({
        description: 'Addresses of the device, with their prefix lengths.',
        examples: [['10.0.2.1/24', 'fd00:2::1/64']],
        uniqueItems: true,
      }),
      distinct(formatNetwork),
    ),
  ),
  routes: v.optional(
    v.pipe(
      v.array(text({ examples: ['10.9.0.0/16'], pattern: '^[\\dA-Fa-f.:]+(/\\d{1,3})?$' }, parseRoute)),
      v.metadata({
        description: 'Networks to route into the tunnel.',
        examples: [['10.9.0.0/16']],
        uniqueItems: true,
      }),
      distinct(formatNetwork),
    ),
  ),
  mtu: v.optional(
    v.pipe(
      v.union([
        integer(
          { minimum: IPV4_MINIMUM_MTU, maximum: MAXIMUM_MTU },
          'an MTU',
          `give a number of bytes from ${IPV4_MINIMUM_MTU} to ${MAXIMUM_MTU}, or 'auto'`,
        ),
        v.literal('auto'),
      ]),
      v.metadata({
        description:
          'MTU of the device in bytes, or `auto`: the MTU of the route to the peer less the outer headers (28 bytes for IPv4, 48 for IPv6), but at least 1280 if the tunnel carries IPv6. Absent: unchanged.',
        examples: ['auto', 1472],
      }),
    ),
  ),
  up: v.optional(
    v.pipe(
      v.boolean(),
      v.metadata({
        description:
          'Bring the device up or down. Absent: a created device is brought up, any other is unchanged.',
      }),
    ),
  ),
  restore: flag(
    'Restore addresses, routes and MTU that are lost while the tunnel runs, because the device goes down and up, or another program removes or changes them. With false, only `ttun reload` restores them.',
    true,
  ),
};

type InterfaceTable = v.InferOutput<v.StrictObjectSchema<typeof INTERFACE_OPTIONS, undefined>>;

/** The settings of the device. */
export const INTERFACE: v.GenericSchema<unknown, ResolvedInterface> = v.pipe(
  v.strictObject(INTERFACE_OPTIONS),
  v.metadata({
    description:
      'Settings of the device; they require root (CAP_NET_ADMIN). Only settings given here are changed, and they are restored when the tunnel closes. Absent: the device is used as it is.',
  }),
  onlyWithCreate('persist'),
  onlyWithCreate('owner'),
  onlyWithCreate('group'),
  onlyWithCreate('multiQueue'),
  checkedBetween<InterfaceTable, 'mtu' | 'addresses' | 'routes'>(['mtu', 'addresses', 'routes'], (parts) => {
    const { mtu, addresses = [], routes = [] } = parts;
    const ipv6 = [...addresses, ...routes].find(({ family }) => family === 6);
    if (ipv6 === undefined || typeof mtu !== 'number' || mtu >= IPV6_MINIMUM_MTU) return;
    throw new InvalidValue(
      `with an MTU of ${mtu} bytes the device cannot carry IPv6, which ${formatNetwork(ipv6)} requires`,
      `give at least ${IPV6_MINIMUM_MTU}, or 'auto'`,
    );
  }),
  filled<InterfaceTable>(INTERFACE_OPTIONS),
  v.transform(({ addresses, routes, ...others }) => ({
    ...others,
    addresses: addresses ?? [],
    routes: routes ?? [],
  })),
);

/** Even if the device happens to exist: with these options the user expects ttun to create it. */
function onlyWithCreate(key: 'persist' | 'owner' | 'group' | 'multiQueue'): v.RawCheckAction<InterfaceTable> {
  return checkedBetween<InterfaceTable, 'create' | typeof key>([key, 'create'], (parts) => {
    if (parts.create || parts[key] === undefined || parts[key] === false) return;
    throw new InvalidValue('applies only to a device that ttun creates', 'add create = true');
  });
}
