import type { TunnelFinding } from './findings.ts';
import type { Lab } from './lab.ts';
import { sites } from './sites.ts';
import { TunnelProcess } from './tunnel-process.ts';

/** Starts a ttun in each site, in the form that users type. */
export async function startTunnels(lab: Lab): Promise<void> {
  lab.story.step(
    'ttun in each site',
    'Each binds a UDP socket to its end of the cable and sends to the other end.',
  );
  for (const site of sites) {
    const tunnel = new TunnelProcess(lab, site);
    lab.tunnels.push(tunnel);
    await tunnel.attached();
  }
}

/** Ends every ttun that runs, and shows what it says it carried. */
export async function endTunnels({ story, tunnels, findings }: Lab): Promise<void> {
  const running = tunnels.splice(0).filter((tunnel) => !tunnel.endedEarly);
  if (running.length === 0) return;
  story.step('Ctrl-C to each ttun', 'It lets go of the device, which stays, and says what it carried.');
  for (const tunnel of running) {
    const finding = await tunnel.end();
    if (finding) findings.tunnels.push(finding);
    if (finding?.summary.some((line) => line.includes('ECONNREFUSED'))) {
      story.note('(refused was what it sent before the other ttun was there)');
    }
  }
  const unclean = findings.tunnels.filter(({ exitCode, summary }) => exitCode !== 0 || summary.length === 0);
  story.expect(unclean.length === 0, 'ended in good order', unclean.map(describeUnclean).join('; '));
}

function describeUnclean({ site, exitCode, signal, summary }: TunnelFinding): string {
  const how = exitCode === 0 ? 'without a closing summary' : `with ${signal ?? `exit code ${exitCode}`}`;
  return `ttun in ${site} ended ${how}${summary.length > 0 ? `: ${summary.at(-1)}` : ''}`;
}
