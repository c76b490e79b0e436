import type { HostFacts, SubjectFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { settingCommand, settingOf } from '../settings.ts';

const STRICT = 1;
const LOOSE = 2;

/**
 * Datagrams of the peer come in by the interface by which ours leave. Where `bindDevice` or `fwmark` sends them another way than
 * the routing table would, the kernel, which judges by the table alone, takes those of the peer for forged. IPv6 has no such
 * filter.
 */
export function checkRpFilter({ way }: SubjectFacts, { settings }: HostFacts): Finding[] {
  if (way === null || way.peer.address === null || way.peer.address.family === 6) return [];
  const { address, route, plainRoute } = way.peer;
  if (route === null || route.local || route.device === plainRoute?.device) return [];
  // The stricter of the two holds (Documentation/networking/ip-sysctl.rst).
  const names = [settingOf('all', 'rp_filter'), settingOf(route.device, 'rp_filter')];
  const inForce = Math.max(...names.map((name) => settings.get(name) ?? 0));
  if (inForce !== STRICT) return [];
  const what = `what comes from ${address.text} by ${route.device} is dropped: the routing table would answer by ${plainRoute?.device ?? 'no interface'}`;
  return [
    finding('rp-filter', what, { commands: [settingCommand(settingOf(route.device, 'rp_filter'), LOOSE)] }),
  ];
}
