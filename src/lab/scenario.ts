/** The whole lab, step by step. */
import { Commands } from './commands.ts';
import { Interruption } from './interruption.ts';
import type { Lab, LabMode, LabOptions } from './lab.ts';
import { Cleanup } from './namespaces.ts';
import { printSummary } from './report.ts';
import type { LabReport } from './report.ts';
import { buildSites, removeSites } from './setup.ts';
import { siteA, siteB, sites, tunDevice } from './sites.ts';
import { measureThroughput, pingBefore, pingThrough, sayHello } from './traffic.ts';
import { LabFailure, Transcript } from './transcript.ts';
import { TunnelProcess } from './tunnel-process.ts';
import type { TunnelFinding } from './tunnel-process.ts';

/**
 * Runs the whole lab, on a machine that has what it needs and where the names siteA and siteB are free.
 *
 * @returns the exit code
 */
export async function runScenario(
  options: LabOptions,
  mode: LabMode,
  interruption: AbortSignal,
): Promise<number> {
  const faults = new AbortController();
  const signal = AbortSignal.any([interruption, faults.signal]);
  const transcript = new Transcript(options.json ? process.stderr : process.stdout);
  const lab: Lab = {
    mode,
    json: options.json,
    transcript,
    signal,
    commands: new Commands(transcript, signal),
    cleanup: new Cleanup(),
    fail: (failure) => faults.abort(failure),
    findings: { pings: [], hello: null, throughput: [], tunnels: [] },
    namespaces: new Map(),
    tunnels: [],
  };

  transcript.title('ttun lab: two sites on one machine, joined by a tunnel');
  if (mode === 'user-namespace') {
    transcript.note(
      'You are not root on this machine, so the lab runs in its own user namespace, where you are root.',
    );
  }
  const outcomes = [
    await problemOf(lab, () => runSteps(lab, options)),
    await problemOf(lab, () => endTunnels(lab)),
    await problemOf(lab, () => removeSites(lab)),
  ];
  await lab.cleanup.finish();

  // Later problems follow from the first.
  const problem = outcomes.find((outcome) => outcome !== null);
  const report: LabReport = {
    ok: problem === undefined,
    failure: problem?.message ?? null,
    mode,
    removed: lab.namespaces.size === 0,
    ...lab.findings,
    steps: transcript.steps,
  };
  printSummary(transcript, report);
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (problem instanceof Interruption) return problem.exitCode;
  return report.ok ? 0 : 1;
}

async function runSteps(lab: Lab, options: LabOptions): Promise<void> {
  await buildSites(lab);
  await pingBefore(lab);
  await startTunnels(lab);
  await pingThrough(lab);
  await sayHello(lab);
  await measureThroughput(lab);
  if (options.keep) await stayUp(lab);
}

/** Runs a part of the lab and prints its failure, which does not keep later parts from running. */
async function problemOf(
  { transcript }: Lab,
  part: () => Promise<void>,
): Promise<LabFailure | Interruption | null> {
  try {
    await part();
    return null;
  } catch (error) {
    const known = error instanceof LabFailure || error instanceof Interruption;
    const problem = known ? error : new LabFailure(`unexpected: ${String(error)}`, { cause: error });
    transcript.failed(problem.message);
    return problem;
  }
}

/** Starts a ttun in each site, in the form that users type. */
async function startTunnels(lab: Lab): Promise<void> {
  lab.transcript.step(
    'ttun in each site',
    'Each binds a UDP socket to its end of the cable and sends to the other end.',
  );
  for (const site of sites) {
    const tunnel = new TunnelProcess(lab, site);
    lab.tunnels.push(tunnel);
    await tunnel.attached();
  }
}

/** Ends every ttun that runs, and shows its closing summary. */
async function endTunnels({ transcript, tunnels, findings }: Lab): Promise<void> {
  const running = tunnels.splice(0).filter((tunnel) => !tunnel.exitedEarly);
  if (running.length === 0) return;
  transcript.step(
    'Ctrl-C to each ttun',
    'ttun releases the device, without deleting it, and prints a summary of its traffic.',
  );
  for (const tunnel of running) {
    const finding = await tunnel.end();
    if (finding) findings.tunnels.push(finding);
    if (finding?.summary.some((line) => line.includes('ECONNREFUSED'))) {
      transcript.note('(ECONNREFUSED: it sent packets before the other ttun was running)');
    }
  }
  const unclean = findings.tunnels.filter(({ exitCode, summary }) => exitCode !== 0 || summary.length === 0);
  transcript.expect(unclean.length === 0, 'exited normally', unclean.map(describeUnclean).join('; '));
}

function describeUnclean({ site, exitCode, signal, summary }: TunnelFinding): string {
  const how = exitCode === 0 ? 'without a closing summary' : `with ${signal ?? `exit code ${exitCode}`}`;
  return `ttun in ${site} exited ${how}${summary.length > 0 ? `: ${summary.at(-1)}` : ''}`;
}

/** Leaves the lab up until the user presses Ctrl-C, and shows how to look around. */
async function stayUp({ transcript, mode, signal }: Lab): Promise<void> {
  transcript.step(
    'Look around',
    'Everything keeps running until you press Ctrl-C here. In another terminal:',
  );
  // The names of the sites are visible only in the lab's user namespace.
  const enter = mode === 'root' ? '' : `nsenter --preserve-credentials -U -m -t ${process.pid} `;
  transcript.command(`${enter}ip netns exec ${siteA.name} bash`, 'a shell in siteA');
  transcript.command(`${enter}ip netns exec ${siteA.name} ping ${siteB.tunnelAddress}`);
  transcript.command(`${enter}ip netns exec ${siteA.name} tcpdump -ni ${tunDevice}`, 'inside the tunnel');
  transcript.command(
    `${enter}ip netns exec ${siteA.name} tcpdump -ni ${siteA.veth} udp`,
    'the same packets, outside',
  );
  transcript.command(`${enter}ip netns exec ${siteB.name} iperf3 --server`);
  transcript.command(`${enter}ip netns exec ${siteA.name} iperf3 --client ${siteB.tunnelAddress}`);

  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  if (signal.reason instanceof LabFailure) throw signal.reason;
}
