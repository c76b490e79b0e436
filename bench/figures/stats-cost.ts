/** The cost of reading the statistics of a tunnel: the time of a call, and the throughput while they are read a thousand times a second. */
import { Caller } from '../../testbed/messages.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { socketAddress } from '../../testbed/tunnel.ts';
import { FITTING_MTU, PORT } from '../contenders/contender.ts';
import { LINKS } from '../links.ts';
import type { Options } from '../options.ts';
import { summarize } from '../statistics.ts';
import { table } from '../report/tables.ts';
import { Iperf } from './iperf.ts';
import type { ReadingCosts, StatsCostAgent } from './stats-cost-agent.ts';

const CALLS: Readonly<Record<keyof ReadingCosts, string>> = {
  stats: 'tunnel.stats()',
  exact: 'tunnel.stats({ bigint: true })',
  state: 'tunnel.state',
  diff: 'diffStats(before, after)',
};

/** Resolves to tables. Both ends of the tunnel are read, each by its own process. */
export async function reportStatsCost({ links, rounds, seconds, congestion }: Options): Promise<string> {
  const [link = 'veth'] = links;
  await using sites = await createSites({ link: LINKS[link].underlay, tunMtu: FITTING_MTU });
  const ends = await Promise.all([openEnd(sites.a, sites.b), openEnd(sites.b, sites.a)]);
  const iperf = await Iperf.start(sites.a, sites.b, sites.b.inner.ipv4, congestion);
  const idle = await ends[0].call('costs', undefined);
  const ratios: number[] = [];
  const rows: string[][] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const unread = (await iperf.tcp({ seconds })).bitsPerSecond;
    await Promise.all(ends.map((end) => end.call('startPolling', undefined)));
    const read = (await iperf.tcp({ seconds })).bitsPerSecond;
    const polls = await Promise.all(ends.map((end) => end.call('stopPolling', undefined)));
    ratios.push(read / unread);
    rows.push([
      `${round}`,
      gigabits(unread),
      gigabits(read),
      polls.map((count) => Math.round(count / seconds)).join(' and '),
    ]);
  }
  await Promise.all(ends.map((end) => end.process[Symbol.asyncDispose]()));
  return [
    table(['call', 'µs'], [...describeCosts(idle)]),
    table(['round', 'not read, Gbit/s', 'read, Gbit/s', 'readings a second at either end'], rows),
    `read / not read: ${describeRatios(ratios)}`,
  ].join('\n\n');
}

async function openEnd(near: Site, far: Site): Promise<Caller<StatsCostAgent>> {
  const agent = new Caller<StatsCostAgent>(near.startScript(new URL('stats-cost-agent.ts', import.meta.url)));
  await agent.call('open', {
    device: near.tun,
    local: socketAddress(near.outer.ipv4, PORT),
    remote: socketAddress(far.outer.ipv4, PORT),
  });
  return agent;
}

function* describeCosts(costs: ReadingCosts): Generator<string[]> {
  for (const call of ['stats', 'exact', 'state', 'diff'] as const) {
    yield [CALLS[call], (costs[call] / 1000).toFixed(2)];
  }
}

function gigabits(bitsPerSecond: number): string {
  return (bitsPerSecond / 1e9).toFixed(2);
}

function describeRatios(ratios: readonly number[]): string {
  const summary = summarize(ratios);
  if (summary === null) return '–';
  const [middle, least, most] = [summary.median, summary.min, summary.max].map((ratio) => ratio.toFixed(2));
  return `${middle} (${least}–${most})`;
}
