/** A host with simulated tunnels. */
import type { TunnelHost, TunnelReport } from '../../src/tunnel-host.ts';
import type { DecapStats, EncapStats, TunnelStats } from '../../src/stats.ts';
import { reportOf, STATS_OF_NOTHING } from '../stats-of-nothing.ts';
import { OPEN, STATS } from './reports.ts';

/** Per second. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

const NO_TRAFFIC: Traffic = { packets: 0, bytes: 0 };
const NO_DROPS = {
  encap: withZeros(STATS.encap.drops),
  decap: withZeros(STATS.decap.drops),
};

/** How long ago the peer of an idle tunnel was heard. */
const IDLE_MS = 150_000;

/** A tunnel with steady traffic. */
export class Actor {
  /** Its report, without statistics. */
  report: Omit<TunnelReport, 'stats'>;
  state: TunnelStats['state'] = 'up';
  traffic: { readonly out: Traffic; readonly in: Traffic } = { out: NO_TRAFFIC, in: NO_TRAFFIC };
  drops: { encap: EncapStats['drops']; decap: DecapStats['drops'] } = NO_DROPS;
  /** Values that differ from the usual ones. */
  device: Partial<TunnelStats['device']> = {};
  /** Once a second; `null`: no probe. */
  probe: { readonly rttMs: number; lost: number } | null = null;
  /** How long packets wait in the queue; `null`: none does. */
  waitMs: number | null = null;
  socket: Partial<TunnelStats['socket']> = {};
  #openedAt = performance.now();

  constructor(report: Partial<TunnelReport>) {
    const { stats: _stats, ...rest } = { ...OPEN, ...report };
    this.report = rest;
  }

  /** Its counters start again at 0. */
  reopen(): void {
    this.#openedAt = performance.now();
  }

  reportNow(): TunnelReport {
    return reportOf({ ...this.report, stats: this.report.phase === 'open' ? this.#stats() : null });
  }

  #stats(): TunnelStats {
    const uptimeMs = performance.now() - this.#openedAt;
    const openedAt = Math.round(performance.timeOrigin + this.#openedAt);
    const passed = (
      traffic: Traffic,
      dropped: number,
    ): Pick<EncapStats, 'received' | 'packets' | 'bytes' | 'dropped'> => {
      const packets = Math.floor((traffic.packets * uptimeMs) / 1000);
      return {
        received: packets + dropped,
        packets,
        bytes: Math.floor((traffic.bytes * uptimeMs) / 1000),
        dropped,
      };
    };
    return {
      ...STATS,
      timestamp: Date.now(),
      openedAt,
      uptimeMs,
      state: this.state,
      device: { ...STATS.device, ...this.device },
      socket: { ...STATS.socket, errors: {}, receiveOverflow: 0, ...this.socket },
      probe: this.#probed(uptimeMs),
      queue: this.#queued(uptimeMs),
      encap: {
        ...STATS.encap,
        ...passed(this.traffic.out, sum(this.drops.encap)),
        readErrors: 0,
        fragmented: 0,
        trials: 0,
        tooBigAnswers: 0,
        drops: this.drops.encap,
      },
      decap: {
        ...STATS.decap,
        ...passed(this.traffic.in, sum(this.drops.decap)),
        drops: this.drops.decap,
        lastAt: { up: Date.now(), idle: Date.now() - IDLE_MS, waiting: null, closed: null }[this.state],
      },
    };
  }

  #queued(uptimeMs: number): TunnelStats['queue'] {
    if (this.waitMs === null) return STATS_OF_NOTHING.queue;
    const delayed = Math.floor(uptimeMs);
    return {
      ...STATS.queue,
      delayed,
      delaySum: delayed * this.waitMs * 1000,
      marked: Math.floor(delayed / 100),
    };
  }

  #probed(uptimeMs: number): TunnelStats['probe'] {
    if (this.probe === null) return STATS_OF_NOTHING.probe;
    const { rttMs, lost } = this.probe;
    const received = Math.floor(uptimeMs / 1000) - lost;
    return {
      ...STATS.probe,
      sent: received + lost,
      received,
      lost,
      rttSum: received * rttMs * 1000,
      rttMs: { last: rttMs, min: rttMs, mean: rttMs, p50: rttMs, p99: rttMs, max: rttMs },
    };
  }
}

/** Reports these actors, which may be changed at any time. */
export class Stage implements TunnelHost {
  actors: readonly Actor[];
  /** How often reports were requested. */
  questions = 0;

  constructor(...actors: readonly Actor[]) {
    this.actors = actors;
  }

  reports(): readonly TunnelReport[] {
    this.questions += 1;
    return this.actors.map((actor) => actor.reportNow());
  }

  find(): undefined {}
}

function withZeros<Reason extends string>(
  drops: Readonly<Record<Reason, number>>,
): Readonly<Record<Reason, number>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same keys, which fromEntries forgets
  return Object.fromEntries(Object.keys(drops).map((reason) => [reason, 0])) as Record<Reason, number>;
}

function sum(drops: Readonly<Record<string, number>>): number {
  return Object.values(drops).reduce((total, count) => total + count, 0);
}
