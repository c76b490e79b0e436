/** The options of a tunnel: one table of a file, or what `createTunnel` is given. */
import * as v from 'valibot';
import { InvalidValue } from '../../address.ts';
import type { ZoneLookup } from '../../address.ts';
import { parseDeviceName, parseInterfaceName } from '../../interface-name.ts';
import { formatNetwork, parseNetwork } from '../../ip-network.ts';
import type { ResolvedOptions, TunnelOptions } from '../../options.ts';
import { OFFLOAD_DEFAULTS, TUNNEL_DEFAULTS } from '../../tunnel-defaults.ts';
import { checkEnds, parseLocal, parseRemote } from '../../tunnel-ends.ts';
import { checkedBetween, flag, parsedBy, text } from './actions.ts';
import { agreeing } from './agreement.ts';
import type { SchemaOf } from './agreement.ts';
import { INTERFACE } from './interface.ts';
import { OFFLOAD } from './offload.ts';

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
        parsedBy((networks) => {
          if (networks.length > 0) return networks;
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
