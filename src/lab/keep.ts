import { LabFailure } from './failure.ts';
import type { Lab } from './lab.ts';
import { siteA, siteB, tunDevice } from './sites.ts';

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
