/** What the page says of states, reasons and packets that do not fit. */

/** @import { TunnelReport } from '../src/tunnel-host.ts' */
/** @import { DecapDropReason, EncapDropReason, TunnelStats } from '../src/stats.ts' */

/** @typedef {'opening' | 'waiting' | 'up' | 'retrying' | 'closed'} State */

/**
 * Its own state while it is open, otherwise how far it is from that.
 *
 * @param {TunnelReport} report
 * @returns {State}
 */
export function stateOf({ phase, stats }) {
  return phase === 'open' ? (stats?.state ?? 'opening') : phase;
}

/**
 * @param {TunnelReport} report
 * @returns {string}
 */
export function describeState(report) {
  const state = stateOf(report);
  switch (state) {
    case 'waiting':
      return report.stats?.decap.lastAt === null ? 'waiting for the peer' : 'peer silent';
    case 'retrying':
      return 'not open, trying again';
    default:
      return state;
  }
}

/** @type {Readonly<Record<EncapDropReason, string>>} */
export const ENCAP_REASONS = {
  'peer-unreachable': 'no way to the peer',
  'too-big': 'larger than any datagram',
  'no-buffer-space': 'no memory in the kernel',
  'send-error': 'refused: see socket errors',
  'routing-loop': 'its own datagrams',
  malformed: 'no IP packet',
  closed: 'while it was being closed',
};

/** @type {Readonly<Record<DecapDropReason, string>>} */
export const DECAP_REASONS = {
  malformed: 'no IP packet',
  empty: 'without content',
  truncated: 'longer than the buffer',
  'source-not-allowed': 'not in allowedSources',
  'device-down': 'the device was down',
  'device-error': 'refused by the device',
  closed: 'while it was being closed',
};

/** Smallest MTU with which an interface carries IPv6 (RFC 8200, section 5). */
const IPV6_MINIMUM_MTU = 1280;

/**
 * What to type when full packets of the device do not fit the route to the peer.
 *
 * @param {TunnelStats} stats
 * @returns {{ problem: string, command: string } | null}
 */
export function adviseMtu({ device, socket }) {
  if (socket.pathMtu === null) return null;
  // Outer IP header and UDP header.
  const fits = socket.pathMtu - (socket.remote.startsWith('[') ? 40 + 8 : 20 + 8);
  if (device.mtu <= fits) return null;
  const drawback = fits < IPV6_MINIMUM_MTU ? ' (too small for IPv6 in the tunnel)' : '';
  return {
    problem: `Packets of more than ${fits} bytes travel in fragments. To avoid that${drawback}:`,
    command: `ip link set ${device.name} mtu ${fits}`,
  };
}
