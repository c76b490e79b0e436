import type { HostFacts, SubjectFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** What the options ask for that takes CAP_NET_ADMIN. */
export function checkPrivileges({ subject: { options } }: SubjectFacts, { user }: HostFacts): Finding[] {
  if (options === null || user.mayConfigure) return [];
  const asked = [
    ...(options.interface === null ? [] : ['interface']),
    ...(options.fwmark === null ? [] : ['fwmark']),
  ];
  if (asked.length === 0) return [];
  const what = `the options ${asked.join(' and ')} need root, and this is user ${user.uid} (${user.name})`;
  return [finding('interface-forbidden', what, { advice: 'run ttun as root, or by the unit ttun@.service' })];
}
