/** As whom this process acts, and what the kernel lets it do. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { User } from '../facts.ts';

export function gatherUser(): User {
  const uid = process.geteuid?.() ?? -1;
  const gid = process.getegid?.() ?? -1;
  return {
    uid,
    name: nameOfUser() ?? String(uid),
    gids: [...new Set([gid, ...(process.getgroups?.() ?? [])])],
    mayConfigure: hasCapability(CAP_NET_ADMIN),
  };
}

/** include/uapi/linux/capability.h */
const CAP_NET_ADMIN = 12n;

function hasCapability(capability: bigint): boolean {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*(?<bits>[\da-f]+)$/m.exec(status)?.groups?.['bits'] ?? '0';
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

function nameOfUser(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}
