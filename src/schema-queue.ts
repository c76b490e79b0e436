/** The schema of the queue before the socket, and of busy polling. */
import * as v from 'valibot';
import {
  BUSY_POLL,
  checkBusyPoll,
  durationPattern,
  parseBusyPoll,
  RATE,
  rateOf,
  ratePattern,
} from './quantity.ts';
import { flag, integer, parsedBy } from './schema-tools.ts';

/** What the kernel grants at least, halved, as it doubles the value (`SOCK_MIN_SNDBUF` in include/net/sock.h). */
const LEAST_SEND_BUFFER = 2304;
const LARGEST_SEND_BUFFER = 2 ** 30;

/** `rate`: text with a unit, or a number of bits per second. */
const RATE_OPTION: v.GenericSchema<string | number, number> = v.pipe(
  v.union([
    v.pipe(v.string(), v.metadata({ pattern: ratePattern('kKmMgG') })),
    v.pipe(v.number(), v.metadata({ minimum: RATE.minimum, maximum: RATE.maximum })),
  ]),
  v.metadata({
    description:
      'The rate to which datagrams are paced, outer headers included: `18 Mbit/s`, or a number of bits per second, from 64 kbit/s to 100 Gbit/s. Set it a little below the rate of a bottleneck that is not in this host, such as a modem, so that packets wait in ttun and not there. Absent: as fast as the socket accepts them.',
    examples: ['18 Mbit/s', '900 kbit/s', 18e6],
  }),
  // Here, because a problem within a union would be reported as one of its type.
  parsedBy((rate: string | number) => rateOf(rate)),
);

/** `busyPoll`: text with a unit, or a number of ms. */
const BUSY_POLL_OPTION: v.GenericSchema<string | number, number> = v.pipe(
  v.union([
    v.pipe(v.string(), v.metadata({ pattern: durationPattern(['us', 'ms', 's']) })),
    v.pipe(v.number(), v.metadata({ minimum: BUSY_POLL.minimum, maximum: BUSY_POLL.maximum })),
  ]),
  v.metadata({
    description:
      'How long to poll the device and the socket after the last packet before the thread of the tunnel sleeps: from `1us` to `1ms`, a number with the unit `us` or `ms`, or a number of milliseconds. Packets that arrive in that time need not wake it, which shortens round trips, at the cost of processor time. Absent: it sleeps at once.',
    examples: ['50us', '200us'],
  }),
  parsedBy((time) => (typeof time === 'number' ? checkBusyPoll(time) : parseBusyPoll(time))),
);

export const QUEUE_OPTIONS = {
  queue: flag(
    'While the socket accepts no more packets, let them wait in a queue for each flow, from which CoDel drops some or, if their sender supports ECN, marks them (FQ-CoDel, RFC 8290), and let little wait in the socket. Keeps the delay of a saturated link low. With false they wait at the device, first in, first out.',
    true,
  ),
  rate: v.optional(RATE_OPTION),
  sendBuffer: v.optional(
    integer(
      {
        description:
          "Size of the socket's send buffer in bytes (`SO_SNDBUF`). Absent: with `queue`, it follows the rate of the link, so that packets wait in it for about a millisecond; without, 4 MiB.",
        examples: [212_992],
        minimum: LEAST_SEND_BUFFER,
        maximum: LARGEST_SEND_BUFFER,
      },
      'the size of a send buffer',
    ),
  ),
  busyPoll: v.optional(BUSY_POLL_OPTION),
};
