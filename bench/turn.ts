/** One contender's turn in one round: its tunnel is brought up in namespaces of its own, and all figures of the link are measured. */
import type { BackgroundProcess } from '../testbed/exec.ts';
import type { Site } from '../testbed/site.ts';
import { createSites } from '../testbed/sites.ts';
import type { Sites } from '../testbed/sites.ts';
import { ping } from '../testbed/traffic/ping.ts';
import { waitFor } from '../testbed/wait.ts';
import { PORT } from './contenders/contender.ts';
import type { Contender } from './contenders/contender.ts';
import { fastSeconds, measureFast } from './figures/fast.ts';
import type { FastFigures } from './figures/fast.ts';
import { timeFirstPacket } from './figures/first-packet.ts';
import { Iperf } from './figures/iperf.ts';
import { measureSlow, slowSeconds } from './figures/slow.ts';
import type { SlowFigures } from './figures/slow.ts';
import { limitRate, LINKS } from './links.ts';
import type { Link } from './links.ts';
import type { Options } from './options.ts';

/** Those of one kind of link, each `null` where it does not apply. */
export type Figures = FastFigures | SlowFigures;

export type Figure = keyof FastFigures | keyof SlowFigures;

export interface Ends {
  readonly a: BackgroundProcess;
  readonly b: BackgroundProcess;
  /** From the start of A's process until a packet made a round trip, milliseconds. */
  readonly firstPacketMs: number;
}

/** Trials in the search for the UDP rate without loss: to about 3 %, or 15 % with `--quick`. */
const TRIALS = { usual: 6, quick: 4 };
/** Namespaces, the start of the tunnel, and the overhead of about ten programs. */
const OVERHEAD_SECONDS = 3;

export async function measure(contender: Contender, link: Link, options: Options): Promise<Figures> {
  const { underlay, bottleneck } = LINKS[link];
  const { seconds } = options;
  await using sites = await createSites({
    link: underlay,
    router: bottleneck?.at === 'router',
    tunMtu: contender.tunMtu,
  });
  // Otherwise a connection begins with what the kernel learned from the one before it.
  await Promise.all(sites.all.map((site) => site.sysctl({ 'net.ipv4.tcp_no_metrics_save': 1 })));
  await contender.prepare?.(sites);
  const ends = await bringUp(contender, sites);
  const { a: sender, b } = sites;
  const address = contender.addresses(b).ipv4;
  const iperf = await Iperf.start(sender, b, address, options.congestion);
  if (bottleneck !== null) {
    await limitRate(sites, bottleneck);
    return await measureSlow({ sender, address, iperf, seconds });
  }
  const pids = ends === null ? [] : [ends.a.pid, ends.b.pid];
  const firstPacketMs = ends?.firstPacketMs ?? null;
  return await measureFast({
    sender,
    receiver: b,
    address,
    iperf,
    seconds,
    trials: trialsOf(options),
    pids,
    firstPacketMs,
  });
}

/** How long a turn takes, roughly. */
export function turnSeconds(link: Link, options: Options): number {
  const { seconds } = options;
  const runs =
    LINKS[link].bottleneck === null ? fastSeconds(seconds, trialsOf(options)) : slowSeconds(seconds);
  return runs + OVERHEAD_SECONDS;
}

function trialsOf({ quick }: Options): number {
  return quick ? TRIALS.quick : TRIALS.usual;
}

/**
 * Brings up both ends, one after the other, and times the second. Resolves when packets go both ways, to `null` where the kernel
 * does everything.
 */
export async function bringUp(contender: Contender, { a, b }: Sites): Promise<Ends | null> {
  const { start } = contender;
  const address = contender.addresses(b).ipv4;
  if (start === undefined) {
    await waitFor(`${contender.name} to carry a ping`, async () => (await ping(a, address)).received > 0);
    return null;
  }
  const startEnd = async (near: Site, far: Site): Promise<BackgroundProcess> => {
    const end = start(near, far);
    await contender.configure?.(near, far);
    return end;
  };
  const far = await startEnd(b, a);
  await waitFor(`${contender.name} to have its socket`, () => hasSocket(b));
  const { started, ms } = await timeFirstPacket(a, b, address, () => startEnd(a, b));
  return { a: started, b: far, firstPacketMs: ms };
}

/** Whether the tunnel's port is bound. socat, for one, exits when its first packet is refused. */
async function hasSocket(site: Site): Promise<boolean> {
  const { stdout } = await site.run(['cat', '/proc/net/udp', '/proc/net/udp6']);
  const port = PORT.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]+:${port} `, 'm').test(stdout);
}
