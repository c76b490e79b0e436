import { Caretaker } from './caretaker.ts';
import { Commands } from './commands.ts';
import { Interruption, LabFailure } from './lab.ts';
import type { Lab, LabMode, LabOptions } from './lab.ts';
import { build, removeSites, siteA, siteB, tunDevice } from './sites.ts';
import { Story, tellSummary } from './story.ts';
import type { LabReport } from './story.ts';
import { measureThroughput, pingBefore, pingThrough, sayHello } from './traffic.ts';
import { endTunnels, startTunnels } from './tunnels.ts';

/**
 * Plays the whole lab on a machine where it is known to work and whose names siteA and siteB are free.
 *
 * @returns the exit code
 */
export async function playLab(
  options: LabOptions,
  mode: LabMode,
  interruption: AbortSignal,
): Promise<number> {
  const faults = new AbortController();
  const signal = AbortSignal.any([interruption, faults.signal]);
  const story = new Story(options.json ? process.stderr : process.stdout);
  const lab: Lab = {
    mode,
    json: options.json,
    story,
    signal,
    commands: new Commands(story, signal),
    caretaker: new Caretaker(),
    fail: (failure) => faults.abort(failure),
    findings: { pings: [], hello: null, throughput: [], tunnels: [] },
    namespaces: new Map(),
    tunnels: [],
  };

  story.title('ttun lab: two sites on one machine, joined by a tunnel');
  if (mode === 'user-namespace') {
    story.note('You are not root, so all of this happens in a user namespace of its own, where you are.');
  }
  const outcomes = [
    await problemOf(lab, () => playToTheEnd(lab, options)),
    await problemOf(lab, () => endTunnels(lab)),
    await problemOf(lab, () => removeSites(lab)),
  ];
  await lab.caretaker.dismiss();

  // What went wrong first is what the others follow from.
  const problem = outcomes.find((outcome) => outcome !== null);
  const report: LabReport = {
    ok: problem === undefined,
    failure: problem?.message ?? null,
    mode,
    removed: lab.namespaces.size === 0,
    ...lab.findings,
    steps: story.steps,
  };
  tellSummary(story, report);
  if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (problem instanceof Interruption) return problem.exitCode;
  return report.ok ? 0 : 1;
}

async function playToTheEnd(lab: Lab, options: LabOptions): Promise<void> {
  await build(lab);
  await pingBefore(lab);
  await startTunnels(lab);
  await pingThrough(lab);
  await sayHello(lab);
  await measureThroughput(lab);
  if (options.keep) await stayUp(lab);
}

/** Runs a part of the lab; what went wrong is told at once, and does not keep the parts after it from running. */
async function problemOf(
  { story }: Lab,
  part: () => Promise<void>,
): Promise<LabFailure | Interruption | null> {
  try {
    await part();
    return null;
  } catch (error) {
    const known = error instanceof LabFailure || error instanceof Interruption;
    const problem = known ? error : new LabFailure(`unexpected: ${String(error)}`, { cause: error });
    story.failed(problem.message);
    return problem;
  }
}

/** Leaves the lab up until the user presses Ctrl-C, having told how to look around. */
export async function stayUp({ story, mode, signal }: Lab): Promise<void> {
  story.step('Look around', 'Everything stays up until you press Ctrl-C here. In another terminal:');
  // The names of the sites are visible only inside the user namespace in which the lab runs.
  const enter = mode === 'root' ? '' : `nsenter --preserve-credentials -U -m -t ${process.pid} `;
  story.command(`${enter}ip netns exec ${siteA.name} bash`, 'a shell in siteA');
  story.command(`${enter}ip netns exec ${siteA.name} ping ${siteB.tunnelAddress}`);
  story.command(`${enter}ip netns exec ${siteA.name} tcpdump -ni ${tunDevice}`, 'inside the tunnel');
  story.command(`${enter}ip netns exec ${siteA.name} tcpdump -ni ${siteA.veth} udp`, 'the same, outside');
  story.command(`${enter}ip netns exec ${siteB.name} iperf3 --server`);
  story.command(`${enter}ip netns exec ${siteA.name} iperf3 --client ${siteB.tunnelAddress}`);

  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  if (signal.reason instanceof LabFailure) throw signal.reason;
}
