import { guest, inSite, isOnPath, system } from './commands.ts';
import type { CommandLine } from './commands.ts';
import { LabFailure } from './lab.ts';
import type { Lab } from './lab.ts';
import { directions, siteA, siteB, tcpPort } from './sites.ts';
import type { Site } from './sites.ts';
import { formatRate } from './story.ts';
import type { PingFinding, ThroughputFinding } from './story.ts';
import type { TunnelProcess } from './tunnels.ts';

const limit = 10_000;

/** Packets of a ping that each ttun prints. */
const requestAndReply = 2;

/** Before ttun runs: the sites reach each other over the cable, but not through the TUN devices. */
export async function pingBefore(lab: Lab): Promise<void> {
  lab.story.step(
    'Pings before the tunnel',
    'Over the cable the sites reach each other. Between the TUN devices nothing carries packets yet.',
  );
  for (const [from, to] of directions) await expectAnswer(lab, from, to, 'cable');
  for (const [from, to] of directions) await expectSilence(lab, from, to);
}

/** While both ttun run: the same pings get through. */
export async function pingThrough(lab: Lab): Promise<void> {
  lab.story.step(
    'The same pings through the tunnel',
    'The kernel sends the packet to the TUN device; ttun reads it there and sends it to the other ttun as one UDP datagram.',
  );
  for (const [from, to] of directions) await expectAnswer(lab, from, to, 'tunnel');
}

async function expectAnswer(lab: Lab, from: Site, to: Site, over: PingFinding['over']) {
  const { answered, roundTripMs, address } = await ping(lab, from, to, over);
  lab.story.expect(
    answered,
    `${to.name} answers${roundTripMs === null ? '' : ` after ${roundTripMs} ms`}`,
    `${from.name} gets no answer from ${address} in ${to.name}, and should`,
  );
}

async function expectSilence(lab: Lab, from: Site, to: Site): Promise<void> {
  const { answered, address } = await ping(lab, from, to, 'tunnel');
  lab.story.expect(
    !answered,
    'no answer, as it should be',
    `${from.name} gets an answer from ${address} though no ttun runs: who else has that address?`,
  );
}

async function ping(
  { story, commands, findings, tunnels, json }: Lab,
  from: Site,
  to: Site,
  over: PingFinding['over'],
): Promise<PingFinding> {
  const address = over === 'cable' ? to.cableAddress : to.tunnelAddress;
  const { by, commandLine, remark } = isOnPath('ping') ? byPing(address) : byKnock(from, address);
  const seen = json || over === 'cable' ? null : watchPackets(tunnels);
  const { ending, stdout } = await commands.observe(inSite(from, commandLine), { limit, remark });
  if (seen) story.output(await seen());
  story.output(stdout.filter((line) => tellingLine.test(line)));

  const answered = ending.exitCode === 0;
  const finding: PingFinding = {
    from: from.name,
    to: to.name,
    address,
    over,
    tunnelRuns: tunnels.length > 0,
    by,
    answered,
    roundTripMs: answered ? roundTripOf(stdout.join('\n')) : null,
  };
  findings.pings.push(finding);
  return finding;
}

/** What both ttun print of a ping, in the order of time: the way of the packet there and back. */
function watchPackets(tunnels: readonly TunnelProcess[]): () => Promise<string[]> {
  const noted = tunnels.map((tunnel) => ({ tunnel, packets: tunnel.notePackets(requestAndReply) }));
  return async () => {
    const lines = await Promise.all(
      noted.map(async ({ tunnel, packets }) =>
        (await packets()).map((line) => ({ line, site: tunnel.site.name })),
      ),
    );
    return lines
      .flat()
      .sort((one, other) => (one.line < other.line ? -1 : 1))
      .map(({ line, site }) => `${site} | ${line}`);
  };
}

interface Probe {
  by: PingFinding['by'];
  commandLine: CommandLine;
  remark: string;
}

function byPing(address: string): Probe {
  return {
    by: 'ping',
    commandLine: system(`ping -c 1 -W 1 ${address}`),
    remark: '',
  };
}

/** Without ping(8): a program of the lab's own, see there. */
function byKnock(from: Site, address: string): Probe {
  return {
    by: 'tcp-knock',
    commandLine: guest('knock', address),
    remark: `for: ip netns exec ${from.name} ping ${address}`,
  };
}

/** Of what ping prints, the answer and the count; of what a knock prints, its only line. */
const tellingLine = /bytes from|packets transmitted|answer/;

function roundTripOf(output: string): number | null {
  const [, time] = /time=([\d.]+) ms/.exec(output) ?? [];
  return time === undefined ? null : Number(time);
}

export const greeting = 'Hello World';
const limitHello = 5000;

/**
 * Sends a greeting through TCP. The two ends are Node programs of the lab's own even where nc is installed: the netcats differ in
 * their options and in when they end.
 */
export async function sayHello({ story, commands, findings }: Lab): Promise<void> {
  story.step('Hello World', 'TCP through the tunnel: siteB listens at its TUN address, siteA sends.');
  const address = siteB.tunnelAddress;
  const listener = inSite(siteB, guest('listen', address, String(tcpPort)));
  const sender = inSite(siteA, guest('send', address, String(tcpPort)));

  await commands.withServer(
    listener,
    { address, port: tcpPort, remark: `like: ip netns exec siteB nc -l -s ${address} -p ${tcpPort}` },
    async (served) => {
      await commands.observe(sender, {
        limit: limitHello,
        input: `${greeting}\n`,
        remark: `like: ip netns exec siteA nc ${address} ${tcpPort}`,
      });
      const { stdout } = await served(limitHello);
      story.output(stdout);
      findings.hello = stdout.join('\n');
    },
  );
  story.expect(
    findings.hello === greeting,
    `"${greeting}" arrived in siteB`,
    `"${greeting}" was sent to siteB, and "${findings.hello}" arrived`,
  );
}

const seconds = 3;
const limitThroughput = (seconds + 10) * 1000;
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
    const { stdout } = await commands.observe(client, { limit: limitThroughput });
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
        limit: limitThroughput,
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
