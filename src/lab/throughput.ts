import { guest, inSite, system } from './command-line.ts';
import { LabFailure } from './failure.ts';
import type { ThroughputFinding } from './findings.ts';
import type { Lab } from './lab.ts';
import { directions, tcpPort } from './sites.ts';
import type { Site } from './sites.ts';
import { isOnPath } from './tools.ts';
import { formatRate } from './units.ts';

const seconds = 3;
const limit = (seconds + 10) * 1000;
const iperfPort = 5201;

/** What one measurement gives; null when it gave nothing. */
type Measured = Pick<ThroughputFinding, 'bitsPerSecond' | 'seconds'>;

/**
 * Measures one TCP stream each way, with iperf3 where it is installed: the lab's own programs spend more of the processor's time
 * on themselves, so with them the tunnel looks slower than it is.
 */
export async function measureThroughput(lab: Lab): Promise<void> {
  const by = isOnPath('iperf3') ? 'iperf3' : 'node';
  lab.story.step(
    'How fast?',
    `One TCP stream each way, ${seconds} s, ${by === 'iperf3' ? 'by iperf3' : "by the lab's own programs (iperf3 would show a little more)"}.`,
  );
  for (const [from, to] of directions) {
    const measured = await (by === 'iperf3' ? byIperf3 : byNode)(lab, from, to);
    lab.story.expect(
      measured.bitsPerSecond > 0,
      `${from.name} → ${to.name}: ${formatRate(measured.bitsPerSecond)}`,
      `${from.name} → ${to.name}: nothing got through`,
    );
    lab.findings.throughput.push({ from: from.name, to: to.name, by, ...measured });
  }
}

/** iperf3's client sends, its server receives. */
async function byIperf3({ commands }: Lab, from: Site, to: Site): Promise<Measured> {
  const address = to.tunnelAddress;
  const server = inSite(to, system(`iperf3 --server --one-off --bind ${address}`));
  const client = inSite(from, system(`iperf3 --client ${address} --time ${seconds} --json`));
  return commands.withServer(server, { address, port: iperfPort }, async () => {
    const { stdout } = await commands.observe(client, { limit });
    return readIperf3(stdout.join('\n'));
  });
}

function readIperf3(json: string): Measured {
  const bitsPerSecond = figure(json, 'end', 'sum_received', 'bits_per_second');
  const measuredFor = figure(json, 'end', 'sum_received', 'seconds');
  if (bitsPerSecond === null || measuredFor === null) {
    throw new LabFailure(`iperf3 reported no figures: ${/"error":\s*"(.*)"/.exec(json)?.[1] ?? 'nor why'}`);
  }
  return { bitsPerSecond, seconds: measuredFor };
}

/** The server sends: the reading end of a connection is the one whose reads Node can do into a single buffer when it connects. */
async function byNode({ commands, story }: Lab, from: Site, to: Site): Promise<Measured> {
  const address = from.tunnelAddress;
  const source = inSite(from, guest('source', address, String(tcpPort), String(seconds)));
  const drain = inSite(to, guest('drain', address, String(tcpPort)));
  return commands.withServer(
    source,
    { address, port: tcpPort, remark: `like: ip netns exec ${to.name} iperf3 --server` },
    async () => {
      const { stdout } = await commands.observe(drain, {
        limit,
        remark: `like: ip netns exec ${from.name} iperf3 --client ${to.tunnelAddress}`,
      });
      story.output(stdout);
      const bytes = figure(stdout.join(''), 'bytes');
      const measuredFor = figure(stdout.join(''), 'seconds');
      if (bytes === null || measuredFor === null) throw new LabFailure('no data came through the tunnel');
      return { bitsPerSecond: (bytes * 8) / measuredFor, seconds: measuredFor };
    },
  );
}

/** A number inside a JSON document; null when it isn't there, or the document isn't one. */
function figure(json: string, ...path: string[]): number | null {
  try {
    let value: unknown = JSON.parse(json);
    for (const key of path) value = Object(value)[key];
    return typeof value === 'number' ? value : null;
  } catch {
    return null;
  }
}
