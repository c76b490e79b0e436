/** Checks of the probe, and of what only a probe keeps open. */
import { formatInterval } from '../quantity.ts';
import { overlap, parseNetwork } from '../network.ts';
import { formatMilliseconds, formatShare } from '../text.ts';
import type { SubjectFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';
import { isUnanswered } from './peer-checks.ts';

export function checkProbe(facts: SubjectFacts): Finding[] {
  const { probe } = facts;
  if (probe === null) return [];
  return [...checkRouteOfProbe(facts), ...checkAnswersToProbe(facts)];
}

/** Probes go through the tunnel whatever the routes are; the packets of this host do not. */
function checkRouteOfProbe({ subject, device, probe }: SubjectFacts): Finding[] {
  if (probe === null || device?.kind !== 'tun' || !device.up) return [];
  const { address, route } = probe;
  if (route?.device === device.name) return [];
  const { addresses = [], routes = [] } = subject.options?.interface ?? {};
  const host = parseNetwork(address);
  if ([...addresses, ...routes].some((network) => overlap(network, host))) return [];
  const way = route === null ? 'there is no route to it' : `packets to it leave through ${route.device}`;
  const what = `the probe asks ${address} through ${device.name}, but ${way}`;
  return [finding('probe-not-routed', what, { commands: [`ip route add ${address} dev ${device.name}`] })];
}

/** As far as the last minute shows. A peer that does not send at all is a matter of other checks. */
function checkAnswersToProbe({ subject: { running } }: SubjectFacts): Finding[] {
  const probe = running?.stats?.probe;
  if (running?.phase !== 'open' || probe === undefined || probe.address === null) return [];
  const { address, loss, lost, rttMs } = probe;
  if (loss === null || isUnanswered(running)) return [];
  if (rttMs.p50 === null) {
    const advice =
      'if that host is on: does it, or a firewall in front of it, drop pings? Or probe another address';
    return [
      finding('probe-unanswered', `the peer sends, but ${address} does not answer the probe`, { advice }),
    ];
  }
  const found = ok(`${address} answers the probe in ${formatMilliseconds(rttMs.p50)}`);
  if (loss < NOTABLE_LOSS || lost < NOTABLE_LOST) return [found];
  const what = `${formatShare(loss)} of the last probes of ${address} were lost`;
  return [
    found,
    finding('path-loss', what, { advice: `measure the path: ttun doctor --path ${running.device}` }),
  ];
}

const NOTABLE_LOSS = 0.02;
/** The first ones are often lost while the peer is not running yet. */
const NOTABLE_LOST = 4;

/** Whether a NAT is likely between the two hosts. */
export function checkNat({ path, probe }: SubjectFacts): Finding[] {
  if (path === null || path.peer.address === null) return [];
  const { address, route } = path.peer;
  const source = route?.source ?? null;
  if (source === null || route?.local === true || !isPrivate(source)) return [];
  if (address.family === 6 || isPrivate(address.text)) return [];
  const what = `there is probably a NAT in front of this host: ${source} is a private address, and ${address.text} is not`;
  const learn =
    'on the other host, set remote = "learn", which follows the address that the NAT gives this host';
  const advice = probe === null ? `${learn}; here, set a probe, which keeps it open` : learn;
  return [finding('behind-nat', what, { advice })];
}

/** Addresses that are only reached from outside through a NAT (RFC 1918; RFC 6598). */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map(parseNetwork);

function isPrivate(address: string): boolean {
  return PRIVATE.some((network) => overlap(network, parseNetwork(address)));
}

/**
 * Whether the probe keeps a firewall open that forgets what has not passed for a while.
 *
 * @param forgets after so many seconds
 */
export function keepsOpen({ probe }: SubjectFacts, forgets: number): boolean {
  return probe !== null && probe.intervalMs < forgets * 1000;
}

/** What keeps such a firewall open. */
export function adviseProbe({ probe }: SubjectFacts, forgets: number): string {
  if (probe === null)
    return 'or set a probe, which keeps it open: probe = { address = "<of the peer in the tunnel>" }';
  return `or shorten the interval of the probe from ${formatInterval(probe.intervalMs)} to less than ${forgets} s`;
}
