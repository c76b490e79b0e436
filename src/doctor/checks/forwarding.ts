import type { HostFacts, SubjectFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

const FAMILIES = [
  { name: 'IPv4', setting: 'net.ipv4.ip_forward', isMember: (network: string) => !network.includes(':') },
  {
    name: 'IPv6',
    setting: 'net.ipv6.conf.all.forwarding',
    isMember: (network: string) => network.includes(':'),
  },
] as const;

/** Routes into the tunnel often stand for other sites, whose hosts this one is to serve. */
export function checkForwarding({ subject }: SubjectFacts, { settings }: HostFacts): Finding[] {
  const routes = subject.options?.interface?.routes ?? [];
  return FAMILIES.filter(({ setting, isMember }) => routes.some(isMember) && settings.get(setting) === 0).map(
    ({ name, setting }) =>
      finding('forwarding-off', `this host does not pass on ${name} packets of others`, {
        commands: [`sysctl -w ${setting}=1`],
      }),
  );
}
