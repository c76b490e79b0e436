/** The lab's traffic: pings, a greeting, and a throughput measurement. */
import { helper, inSite, isOnPath, system } from './commands.ts';
import type { CommandLine } from './commands.ts';
import type { Lab, PingFinding, ThroughputFinding } from './lab.ts';
import { formatRate } from './report.ts';
import { directions, greeting, siteA, siteB, tcpPort } from './sites.ts';
import type { Site } from './sites.ts';
import { LabFailure } from './transcript.ts';
import type { TunnelProcess } from './tunnel-process.ts';

/** ms for each of these programs. */
const PING_LIMIT = 10_000;
const GREETING_LIMIT = 5000;
const THROUGHPUT_SECONDS = 1;
const THROUGHPUT_LIMIT = (THROUGHPUT_SECONDS + 10) * 1000;

const IPERF_PORT = 5201;

/** Packets of a ping that each ttun prints: request and reply. */
const PING_PACKETS = 2;

/** Before ttun runs: the sites reach each other over the cable, but not through the TUN devices. */
export async function pingBefore(lab: Lab): Promise<void> {
  lab.transcript.step(
    'Pings before the tunnel',
    'The sites reach each other over the cable. No program carries packets between the TUN devices yet.',
  );
  for (const [from, to] of directions) await expectAnswer(lab, from, to, 'cable');
  for (const [from, to] of directions) await expectSilence(lab, from, to);
}

/** While both ttun run: the same pings get through. */
export async function pingThrough(lab: Lab): Promise<void> {
  lab.transcript.step(
    'The same pings through the tunnel',
    'The kernel sends the packet to the TUN device. ttun reads it there and sends it to the other ttun as one UDP datagram.',
  );
  for (const [from, to] of directions) await expectAnswer(lab, from, to, 'tunnel');
}

async function expectAnswer(lab: Lab, from: Site, to: Site, over: PingFinding['over']) {
  const { answered, roundTripMs, address } = await ping(lab, from, to, over);
  lab.transcript.expect(
    answered,
    `${to.name} answers${roundTripMs === null ? '' : ` after ${roundTripMs} ms`}`,
    `${from.name} gets no answer from ${address} in ${to.name}`,
  );
}

async function expectSilence(lab: Lab, from: Site, to: Site): Promise<void> {
  const { answered, address } = await ping(lab, from, to, 'tunnel');
  lab.transcript.expect(
    !answered,
    'no answer, as expected',
    `${from.name} gets an answer from ${address} although no ttun is running: another host has that address`,
  );
}

async function ping(
  { transcript, commands, findings, tunnels, json }: Lab,
  from: Site,
  to: Site,
  over: PingFinding['over'],
): Promise<PingFinding> {
  const address = over === 'cable' ? to.cableAddress : to.tunnelAddress;
  // One that should be answered may take longer: the first packets after a device came up can be lost.
  const seconds = over === 'cable' || tunnels.length > 0 ? 3 : 1;
  const { by, commandLine, remark } = isOnPath('ping')
    ? byPing(address, seconds)
    : byKnock(from, address, seconds);
  const seen = json || over === 'cable' ? null : watchPackets(tunnels);
  const { ending, stdout } = await commands.observe(inSite(from, commandLine), { limit: PING_LIMIT, remark });
  if (seen) transcript.output(await seen());
  transcript.output(stdout.filter((line) => SHOWN_LINE.test(line)));

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

/** The lines that both ttun print for a ping, in order of time: the path of the packet there and back. */
function watchPackets(tunnels: readonly TunnelProcess[]): () => Promise<string[]> {
  const noted = tunnels.map((tunnel) => ({ tunnel, packets: tunnel.collectPackets(PING_PACKETS) }));
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

/** Repeats the ping until it is answered (`-w`), or for as long. */
function byPing(address: string, seconds: number): Probe {
  return {
    by: 'ping',
    commandLine: system(`ping -c 1 -w ${seconds} ${address}`),
    remark: '',
  };
}

/** For systems without ping(8). */
function byKnock(from: Site, address: string, seconds: number): Probe {
  return {
    by: 'tcp-knock',
    commandLine: helper('knock', address, String(seconds)),
    remark: `instead of: ip netns exec ${from.name} ping ${address}`,
  };
}

/** The answer and the count that ping prints; the only line that knock prints. */
const SHOWN_LINE = /bytes from|packets transmitted|answer/;

function roundTripOf(output: string): number | null {
  const [, time] = /time=([\d.]+) ms/.exec(output) ?? [];
  return time === undefined ? null : Number(time);
}

/**
 * Sends a greeting through TCP. Both ends are the lab's own program even where nc is installed: netcats differ in their options and
 * in when they exit.
 */
export async function sayHello({ transcript, commands, findings }: Lab): Promise<void> {
  transcript.step('Hello World', 'TCP through the tunnel: siteB listens at its TUN address, siteA sends.');
  const address = siteB.tunnelAddress;
  const listener = inSite(siteB, helper('listen', address, String(tcpPort)));
  const sender = inSite(siteA, helper('send', address, String(tcpPort)));

  await commands.withServer(
    listener,
    { address, port: tcpPort, remark: `like: ip netns exec siteB nc -l -s ${address} -p ${tcpPort}` },
    async (served) => {
      await commands.observe(sender, {
        limit: GREETING_LIMIT,
        input: `${greeting}\n`,
        remark: `like: ip netns exec siteA nc ${address} ${tcpPort}`,
      });
      const { stdout } = await served(GREETING_LIMIT);
      transcript.output(stdout);
      findings.hello = stdout.join('\n');
    },
  );
  transcript.expect(
    findings.hello === greeting,
    `"${greeting}" arrived in siteB`,
    `"${greeting}" was sent to siteB, and "${findings.hello}" arrived`,
  );
}

/** The result of one measurement. */
type Measured = Pick<ThroughputFinding, 'bitsPerSecond' | 'seconds'>;

/**
 * Measures one TCP stream each way, with iperf3 where it is installed: the lab's own programs use more processor time, which makes
 * the tunnel look slower than it is.
 */
export async function measureThroughput(lab: Lab): Promise<void> {
  const by = isOnPath('iperf3') ? 'iperf3' : 'node';
  lab.transcript.step(
    'Throughput',
    `One TCP stream each way, ${THROUGHPUT_SECONDS} s, ${by === 'iperf3' ? 'measured by iperf3' : "measured by the lab's own programs (iperf3 would measure a little more)"}.`,
  );
  for (const [from, to] of directions) {
    const measured = await (by === 'iperf3' ? byIperf3 : byNode)(lab, from, to);
    lab.transcript.expect(
      measured.bitsPerSecond > 0,
      `${from.name} → ${to.name}: ${formatRate(measured.bitsPerSecond)}`,
      `${from.name} → ${to.name}: no data arrived`,
    );
    lab.findings.throughput.push({ from: from.name, to: to.name, by, ...measured });
  }
}

/** iperf3's client sends, its server receives. */
async function byIperf3({ commands }: Lab, from: Site, to: Site): Promise<Measured> {
  const address = to.tunnelAddress;
  const server = inSite(to, system(`iperf3 --server --one-off --bind ${address}`));
  const client = inSite(from, system(`iperf3 --client ${address} --time ${THROUGHPUT_SECONDS} --json`));
  return commands.withServer(server, { address, port: IPERF_PORT }, async () => {
    const { stdout } = await commands.observe(client, { limit: THROUGHPUT_LIMIT });
    return readIperf3(stdout.join('\n'));
  });
}

function readIperf3(json: string): Measured {
  const bitsPerSecond = numberAt(json, 'end', 'sum_received', 'bits_per_second');
  const measuredFor = numberAt(json, 'end', 'sum_received', 'seconds');
  if (bitsPerSecond === null || measuredFor === null) {
    throw new LabFailure(
      `iperf3 reported no result: ${/"error":\s*"(.*)"/.exec(json)?.[1] ?? 'no error message'}`,
    );
  }
  return { bitsPerSecond, seconds: measuredFor };
}

/** The server sends: in Node, only a connecting socket can read into a single buffer. */
async function byNode({ commands, transcript }: Lab, from: Site, to: Site): Promise<Measured> {
  const address = from.tunnelAddress;
  const source = inSite(from, helper('source', address, String(tcpPort), String(THROUGHPUT_SECONDS)));
  const drain = inSite(to, helper('drain', address, String(tcpPort)));
  return commands.withServer(
    source,
    { address, port: tcpPort, remark: `like: ip netns exec ${to.name} iperf3 --server` },
    async () => {
      const { stdout } = await commands.observe(drain, {
        limit: THROUGHPUT_LIMIT,
        remark: `like: ip netns exec ${from.name} iperf3 --client ${to.tunnelAddress}`,
      });
      transcript.output(stdout);
      const bytes = numberAt(stdout.join(''), 'bytes');
      const measuredFor = numberAt(stdout.join(''), 'seconds');
      if (bytes === null || measuredFor === null) throw new LabFailure('no data arrived through the tunnel');
      return { bitsPerSecond: (bytes * 8) / measuredFor, seconds: measuredFor };
    },
  );
}

/** A number in a JSON document; null if there is none, or the document is not valid. */
function numberAt(json: string, ...path: string[]): number | null {
  try {
    let value: unknown = JSON.parse(json);
    for (const key of path) value = Object(value)[key];
    return typeof value === 'number' ? value : null;
  } catch {
    return null;
  }
}
