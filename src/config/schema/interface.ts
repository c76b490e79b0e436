/** `interface`: what to set up of the device. */
import * as v from 'valibot';
import { InvalidValue } from '../../address.ts';
import { formatNetwork, parseInterfaceAddress, parseRoute } from '../../ip-network.ts';
import type { InterfaceOptions, ResolvedInterface } from '../../options.ts';
import { checkedBetween, flag, text } from './actions.ts';
import { agreeing } from './agreement.ts';
import type { SchemaOf } from './agreement.ts';
import { account, checkMtuFor, MTU, networks } from './interface-values.ts';

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

type Table = v.InferOutput<typeof table>;

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
    checkedBetween<Table, 'mtu' | 'addresses' | 'routes'>(['mtu', 'addresses', 'routes'], (parts) => {
      if (typeof parts.mtu !== 'number') return;
      checkMtuFor(parts.mtu, [...(parts.addresses ?? []), ...(parts.routes ?? [])]);
    }),
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
function onlyWithCreate(key: 'persist' | 'owner' | 'group' | 'multiQueue'): v.RawCheckAction<Table> {
  return checkedBetween<Table, 'create' | typeof key>([key, 'create'], (parts) => {
    if (parts.create || parts[key] === undefined || parts[key] === false) return;
    throw new InvalidValue('is only for a device that ttun makes', 'add create = true');
  });
}
