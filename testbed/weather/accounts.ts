/**
 * Accounts of lost packets: those sent are those heard, plus those that ttun counts as dropped, plus those in the kernel's counters.
 *
 * A packet from site to site passes, for each tunnel: the sockets of the traffic (`accepted`), the device (`tx`), ttun (`encap`), the
 * outgoing datagrams (`out`), the network, the incoming datagrams (`in`), ttun (`decap`), and the sockets of the other site (`heard`).
 */
import type { TunnelStats } from '../../src/stats.ts';
import { deviceCounters, protocolCounters } from '../counters.ts';
import type { DeviceCounters } from '../counters.ts';
import type { Site } from '../site.ts';
import { deviceNames } from './ends.ts';
import type { Ends } from './ends.ts';
import { COUNTED, counterName } from './network.ts';
import type { Network } from './network.ts';
import * as plan from './plan.ts';
import type { SiteName } from './plan.ts';
import { STREAMS } from './traffic.ts';
import type { Traffic } from './traffic.ts';

/** All counters of a site at one time. */
export interface Snapshot {
  readonly pid: number;
  /** Per tunnel, by number. */
  readonly tunnels: ReadonlyMap<number, TunnelCounters>;
  readonly protocols: ReadonlyMap<string, number>;
}

interface Datagrams {
  readonly out: number;
  readonly in: number;
  /** Of these, those that arrived merged with an earlier one. If the kernel drops a merged run, it counts one. */
  readonly inMerged: number;
}

const NONE: Datagrams = { out: 0, in: 0, inMerged: 0 };

interface TunnelCounters extends Datagrams {
  readonly accepted: number;
  readonly refused: number;
  /** Of the other site's packets. */
  readonly heard: number;
  /** `null` while the tunnel is not open. */
  readonly stats: TunnelStats | null;
  /** `null` while there is no device. */
  readonly device: DeviceCounters | null;
}

export async function takeSnapshot(
  network: Network,
  ends: Ends,
  traffic: Traffic,
  name: SiteName,
): Promise<Snapshot> {
  const site = network[name];
  const [datagrams, protocols, stats, names, sent, heard] = await Promise.all([
    countDatagrams(site),
    protocolCounters(site),
    ends.stats(name),
    deviceNames(site),
    traffic.sent(name),
    traffic.heard(name),
  ]);
  const tunnels = plan.TUNNELS.map(async ({ number }): Promise<[number, TunnelCounters]> => {
    const total = (of: readonly number[]): number =>
      of.reduce((sum, count, index) => sum + (STREAMS[index]?.tunnel === number ? count : 0), 0);
    const tunnel = stats.get(number) ?? null;
    const present = names.get(tunnel?.device.index ?? 0);
    const device = present === undefined ? null : await deviceCounters(site, present);
    const counters = {
      ...NONE,
      accepted: total(sent.map(({ accepted }) => accepted)),
      refused: total(sent.map(({ refused }) => refused)),
      heard: total(heard.map(({ packets }) => packets)),
      ...datagrams.get(number),
      stats: tunnel,
      device,
    };
    return [number, counters];
  });
  return { pid: ends.process(name).pid, tunnels: new Map(await Promise.all(tunnels)), protocols };
}

/**
 * Packets unaccounted for between two snapshots of both sites; nothing if all are accounted for. The counters of replaced devices and
 * processes are gone, so their tunnels are left out.
 */
export function audit(before: Both, after: Both, leftOut: ReadonlySet<number>): string[] {
  return plan.SITE_NAMES.flatMap((from) => {
    const restarted = plan.SITE_NAMES.some((name) => before[name].pid !== after[name].pid);
    const tunnels = plan.TUNNELS.filter(({ number }) => !restarted && !leftOut.has(number));
    const spans = tunnels.map((tunnel) => new Span(from, tunnel, before, after));
    return [...spans.flatMap((span) => span.check()), ...checkArrival(from, spans, before, after)];
  });
}

/** Where packets were lost between two snapshots: `sender queue 3, network 12`. Nothing if all were heard. */
export function lossesOf(before: Both, after: Both, leftOut: ReadonlySet<number>): string {
  const totals = new Map<string, number>();
  for (const from of plan.SITE_NAMES) {
    for (const tunnel of plan.TUNNELS) {
      if (leftOut.has(tunnel.number)) continue;
      for (const [where, count] of new Span(from, tunnel, before, after).losses) {
        totals.set(where, (totals.get(where) ?? 0) + count);
      }
    }
  }
  const lost = [...totals].filter(([, count]) => count !== 0);
  return lost.map(([where, count]) => `${where} ${count}`).join(', ');
}

export type Both = Readonly<Record<SiteName, Snapshot>>;

/** Whether nothing was sent or arrived between two snapshots. */
export function isSame(before: Both, after: Both): boolean {
  return plan.SITE_NAMES.every(
    (name) =>
      KERNEL_DROPS.every((drop) => before[name].protocols.get(drop) === after[name].protocols.get(drop)) &&
      plan.TUNNELS.every(({ number }) => {
        const [one, two] = [countersOf(before[name], number), countersOf(after[name], number)];
        return (['accepted', 'out', 'in', 'heard'] as const).every((key) => one[key] === two[key]);
      }),
  );
}

/** A direction of a tunnel between two snapshots. */
class Span {
  readonly tunnel: plan.Tunnel;
  readonly from: SiteName;
  readonly #near: readonly [before: TunnelCounters, after: TunnelCounters];
  readonly #far: readonly [before: TunnelCounters, after: TunnelCounters];

  constructor(from: SiteName, tunnel: plan.Tunnel, before: Both, after: Both) {
    this.from = from;
    this.tunnel = tunnel;
    const at = (name: SiteName): [TunnelCounters, TunnelCounters] => [
      countersOf(before[name], tunnel.number),
      countersOf(after[name], tunnel.number),
    ];
    this.#near = at(from);
    this.#far = at(plan.other(from));
  }

  get accepted(): number {
    return difference(this.#near, ({ accepted }) => accepted);
  }
  get out(): number {
    return difference(this.#near, ({ out }) => out);
  }
  get in(): number {
    return difference(this.#far, (counters) => counters.in);
  }
  get inMerged(): number {
    return difference(this.#far, ({ inMerged }) => inMerged);
  }
  get heard(): number {
    return difference(this.#far, ({ heard }) => heard);
  }
  get decapDropped(): number {
    return difference(this.#far, ({ stats }) => stats?.decap.dropped ?? 0);
  }

  get losses(): readonly [where: string, count: number][] {
    const near = (read: (counters: TunnelCounters) => number): number => difference(this.#near, read);
    return [
      ['refused to the sender', near(({ refused }) => refused)],
      ['queue of the device', near(({ device }) => device?.tx.dropped ?? 0)],
      ['encap.dropped', near(({ stats }) => stats?.encap.dropped ?? 0)],
      ['on the way', this.out - this.in],
      ['decap.dropped', this.decapDropped],
      ['in the kernel', this.in - this.decapDropped - this.heard],
    ];
  }

  /** The steps at the sending site, and the sums of both ends. */
  check(): string[] {
    const near = (read: (counters: TunnelCounters) => number): number => difference(this.#near, read);
    const steps: [what: string, one: number, two: number][] = [];
    if (this.#near.every(({ stats }) => stats !== null)) {
      const [received, packets] = [
        near(({ stats }) => stats?.encap.received ?? 0),
        near(({ stats }) => stats?.encap.packets ?? 0),
      ];
      const dropped = near(({ stats }) => stats?.encap.dropped ?? 0);
      if (this.#near.every(({ device }) => device !== null)) {
        const [tx, queue] = [
          near(({ device }) => device?.tx.packets ?? 0),
          near(({ device }) => device?.tx.dropped ?? 0),
        ];
        steps.push(['sent, and what the device sent and dropped', this.accepted, tx + queue]);
        steps.push(['sent by the device, and encap.received', tx, received]);
      } else {
        steps.push(['sent, and encap.received', this.accepted, received]);
      }
      steps.push(['encap.received, and encap.packets with encap.dropped', received, packets + dropped]);
      steps.push(['encap.packets, and datagrams sent', packets, this.out]);
    }
    const received = difference(this.#far, ({ stats }) => stats?.decap.received ?? 0);
    const written = difference(this.#far, ({ stats }) => stats?.decap.packets ?? 0);
    if (this.#far.every(({ stats }) => stats !== null)) {
      steps.push([
        'decap.received, and decap.packets with decap.dropped',
        received,
        written + this.decapDropped,
      ]);
    }
    return steps
      .filter(([, one, two]) => one !== two)
      .map(([what, one, two]) => `${this.#name}: ${what}: ${one}, ${two}`);
  }

  get #name(): string {
    return `${plan.tunnelName(this.tunnel)} from ${this.from}`;
  }
}

/** At the receiving site, whose counters are those of all tunnels together. */
function checkArrival(from: SiteName, spans: readonly Span[], before: Both, after: Both): string[] {
  const to = plan.other(from);
  const sum = (read: (span: Span) => number): number => spans.reduce((total, span) => total + read(span), 0);
  const missing = sum((span) => span.in) - sum((span) => span.heard) - sum((span) => span.decapDropped);
  const kernel = KERNEL_DROPS.map((name): [string, number] => [
    name,
    (after[to].protocols.get(name) ?? 0) - (before[to].protocols.get(name) ?? 0),
  ]).filter(([, count]) => count > 0);
  const counted = kernel.reduce(
    (total, [, count]) => total + count,
    sum((span) => span.inMerged),
  );
  if (missing >= 0 && missing <= counted) return [];
  const shown = kernel.map(([name, count]) => `${name} ${count}`).join(', ') || 'nothing';
  const each = spans
    .map((span) => `${plan.tunnelName(span.tunnel)} ${span.in} → ${span.heard} + ${span.decapDropped}`)
    .join(', ');
  return [`arrived at ${to}, but not heard there: ${missing}; the kernel counted ${shown} (${each})`];
}

/** Counters of what the kernel drops between the arrival of a datagram and the sockets of the traffic. */
const KERNEL_DROPS = [
  'UdpNoPorts',
  'UdpInErrors',
  'Udp6NoPorts',
  'Udp6InErrors',
  'IpInAddrErrors',
  'IpInDiscards',
  'IpExtInNoRoutes',
  'Ip6InAddrErrors',
  'Ip6InDiscards',
  'Ip6InNoRoutes',
] as const;

function countersOf(snapshot: Snapshot, tunnel: number): TunnelCounters {
  const counters = snapshot.tunnels.get(tunnel);
  if (counters === undefined) throw new Error(`no counters of tunnel ${tunnel}`);
  return counters;
}

function difference(
  [before, after]: readonly [TunnelCounters, TunnelCounters],
  read: (counters: TunnelCounters) => number,
): number {
  return read(after) - read(before);
}

/**
 * The datagrams that nftables counted. It counts merged ones once; their number follows from the bytes, because all inner packets have
 * the same length.
 */
async function countDatagrams(site: Site): Promise<ReadonlyMap<number, Datagrams>> {
  const { stdout } = await site.run(['nft', 'list', 'counters']);
  const pattern = /counter (\w+) \{\s*packets (\d+) bytes (\d+)/g;
  const found = new Map(
    [...stdout.matchAll(pattern)].map(([, name, ...values]) => [name, values.map(Number)]),
  );
  const totals = new Map<number, Datagrams>();
  for (const counted of COUNTED) {
    const read = (direction: 'in' | 'out'): { count: number; merged: number } => {
      const [packets = 0, bytes = 0] = found.get(counterName(direction, counted)) ?? [];
      const count = (bytes - packets * plan.HEADERS[counted.family]) / plan.INNER_LENGTH;
      return { count, merged: count - packets };
    };
    const { number } = counted.tunnel;
    const [before, sent, arrived] = [totals.get(number) ?? NONE, read('out'), read('in')];
    totals.set(number, {
      out: before.out + sent.count,
      in: before.in + arrived.count,
      inMerged: before.inMerged + arrived.merged,
    });
  }
  return totals;
}
