/** What this user, or this machine, does not let the doctor see. */
import type { HostFacts, Subject } from './facts.ts';

export interface Unchecked {
  readonly what: string;
  readonly why: string;
}

export function listUnchecked(host: HostFacts, subjects: readonly Subject[]): Unchecked[] {
  const { native, user, inputChains } = host;
  const unchecked: Unchecked[] = [];
  if (native !== null) {
    unchecked.push({ what: 'devices, routes and sockets', why: 'the native part of ttun is not there' });
  }
  if (inputChains === null) {
    const why = user.mayConfigure ? 'nft is not there, or gives no answer' : 'only root may read its rules';
    unchecked.push({ what: 'the firewall', why });
  }
  if (user.uid !== 0) {
    unchecked.push({ what: 'programs of other users', why: 'only root sees what they have open' });
  }
  for (const { title, options } of subjects) {
    if (options !== null) continue;
    const why = 'no tunnel runs on it; those of a file are examined with -c FILE';
    unchecked.push({ what: `the way to the peer of ${title}`, why });
  }
  return unchecked;
}
