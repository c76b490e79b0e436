import { guest, inSite, system } from './command-line.ts';
import type { CommandLine } from './command-line.ts';
import type { PingFinding } from './findings.ts';
import type { Lab } from './lab.ts';
import { directions } from './sites.ts';
import type { Site } from './sites.ts';
import type { TunnelProcess } from './tunnel-process.ts';
import { isOnPath } from './tools.ts';

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
