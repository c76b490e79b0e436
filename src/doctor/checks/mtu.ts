import { IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../../mtu.ts';
import type { SubjectFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkMtu({ subject, device, way }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || way === null || way.peer.address === null) return [];
  const { address, route } = way.peer;
  if (route === null || route.device === subject.device) return [];
  const wishes = subject.options?.interface ?? null;
  if (wishes?.mtu === 'auto') return [ok('the MTU is chosen when the tunnel starts')];

  const hasIpv6 = [...device.addresses, ...(wishes?.addresses ?? [])].some((text) => text.includes(':'));
  const fits = route.mtu - OUTER_OVERHEAD[address.family];
  const best = hasIpv6 ? Math.max(fits, IPV6_MINIMUM_MTU) : fits;
  const configured = wishes?.mtu ?? null;
  const mtu = configured ?? device.mtu;
  if (mtu <= best) return [ok(`packets of ${mtu} bytes, the MTU of ${device.name}, fit the way to the peer`)];
  const what = `the MTU of ${device.name} is ${mtu}, and ${fits} bytes fit the way to the peer (MTU ${route.mtu})`;
  // What the file says would be set again when the tunnel starts.
  if (configured !== null)
    return [finding('mtu-too-large', what, { advice: `configure mtu = "auto", or ${best}` })];
  return [finding('mtu-too-large', what, { commands: [`ip link set dev ${device.name} mtu ${best}`] })];
}
