/** The schema of `probe`: echo requests to the peer, inside the tunnel. */
import * as v from 'valibot';
import { InvalidValue } from './address.ts';
import { durationPattern, parseDuration } from './quantity.ts';
import type { IpNetwork } from './network.ts';
import { broadcastOf, formatNetwork, MAXIMUM_MTU } from './network.ts';
import {
  checkInterval,
  checkProbeSize,
  DEFAULT_INTERVAL_MS,
  LEAST_SIZE,
  parseProbeAddress,
} from './probe-options.ts';
import type { ProbeAddress, ResolvedProbe } from './probe-options.ts';
import { checkedBetween, integer, parsedBy, text } from './schema-tools.ts';

const PROBE_OPTIONS = {
  address: text(
    {
      description:
        "The address to probe, inside the tunnel: that of the peer's tunnel device, or of another host behind the peer. It must answer ping.",
      examples: ['10.0.2.2', 'fd00:2::2'],
      pattern: '^[\\dA-Fa-f.:]+$',
    },
    parseProbeAddress,
  ),
  interval: v.optional(
    v.pipe(
      v.union([v.pipe(v.string(), v.metadata({ pattern: durationPattern() })), v.number()]),
      v.metadata({
        description:
          'Time between two probes, from `10ms` to `1h`: a number with the unit `ms`, `s`, `m` or `h`, or a number of milliseconds. Absent: one second.',
        examples: ['1s', '200ms'],
      }),
      parsedBy((interval) =>
        checkInterval(typeof interval === 'string' ? parseDuration(interval) : interval),
      ),
    ),
  ),
  size: v.optional(
    integer(
      {
        description: `Length of a probe in bytes, from its inner IP header on: at least ${LEAST_SIZE[4]} for IPv4 and ${LEAST_SIZE[6]} for IPv6. Absent: as ping sends them, 84 for IPv4 and 104 for IPv6.`,
        examples: [84],
        minimum: LEAST_SIZE[4],
        maximum: MAXIMUM_MTU,
      },
      'the size of a probe',
      `give a number of bytes from ${LEAST_SIZE[4]} (IPv4) or ${LEAST_SIZE[6]} (IPv6) to ${MAXIMUM_MTU}`,
    ),
  ),
};

type ProbeTable = v.InferOutput<v.StrictObjectSchema<typeof PROBE_OPTIONS, undefined>>;

export const PROBE: v.GenericSchema<unknown, ResolvedProbe> = v.pipe(
  v.strictObject(PROBE_OPTIONS),
  v.metadata({
    description:
      'Send echo requests (ping) to an address inside the tunnel at equal intervals, and measure the path by the replies: round-trip time, jitter and loss. The replies do not reach the device. It also keeps entries of NAT and firewalls alive, and shows within three intervals that the peer no longer answers. Absent: no probes.',
  }),
  checkedBetween<ProbeTable, 'size' | 'address'>(['size', 'address'], ({ size, address }) => {
    if (size !== undefined) checkProbeSize(size, address);
  }),
  v.transform(({ address, interval = DEFAULT_INTERVAL_MS, size = null }) => ({
    address,
    intervalMs: interval,
    size,
  })),
);

/** @throws InvalidValue if the probe would be of this end, or of a whole network */
export function checkProbe({ text: probed }: ProbeAddress, addresses: readonly IpNetwork[]): void {
  const network = addresses.find((own) => broadcastOf(own) === probed);
  if (network !== undefined) {
    throw new InvalidValue(
      `probes ${probed}, which is the broadcast address of ${formatNetwork(network)}`,
      "give the address of the peer's tunnel device",
    );
  }
  if (!addresses.some(({ address }) => address === probed)) return;
  throw new InvalidValue(
    `probes ${probed}, which is an address of this end's own device`,
    "give the address of the peer's tunnel device",
  );
}
