import type { HostFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** From this share on it is called full. */
const FULL = 0.9;

export function checkConntrack({ settings }: HostFacts): Finding[] {
  const count = settings.get('net.netfilter.nf_conntrack_count');
  const max = settings.get('net.netfilter.nf_conntrack_max');
  // A limit of 0 is none.
  if (count === undefined || max === undefined || max === 0 || count < max * FULL) return [];
  const what = `the table of connections holds ${count} of at most ${max}`;
  return [
    finding('conntrack-full', what, { commands: [`sysctl -w net.netfilter.nf_conntrack_max=${max * 2}`] }),
  ];
}
