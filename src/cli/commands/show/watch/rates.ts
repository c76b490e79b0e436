/** How fast a tunnel carries packets, from two looks at its counters. */
import type { TunnelStats } from '../../../../stats.ts';

/** Per second. */
export interface Rates {
  readonly received: DirectionRates;
  readonly sent: DirectionRates;
  /** Packets dropped, in both directions together, and datagrams lost to a full receive buffer. */
  readonly drops: number;
}

export interface DirectionRates {
  readonly bits: number;
  readonly packets: number;
}

/** `null` where the two are not of one run of the tunnel, or of the same instant. */
export function ratesBetween(before: TunnelStats, after: TunnelStats): Rates | null {
  const seconds = (after.uptimeMs - before.uptimeMs) / 1000;
  if (seconds <= 0) return null;
  const perSecond = (count: (stats: TunnelStats) => number): number =>
    (count(after) - count(before)) / seconds;
  const rates = {
    received: {
      bits: 8 * perSecond(({ decap }) => decap.bytes),
      packets: perSecond(({ decap }) => decap.packets),
    },
    sent: {
      bits: 8 * perSecond(({ encap }) => encap.bytes),
      packets: perSecond(({ encap }) => encap.packets),
    },
    drops: perSecond(({ encap, decap, socket }) => encap.dropped + decap.dropped + socket.receiveOverflow),
  };
  // It was opened anew in between, long enough ago to have a longer uptime already.
  const isOtherRun = rates.received.bits < 0 || rates.sent.bits < 0 || rates.drops < 0;
  return isOtherRun ? null : rates;
}
