/** The program of this repository, or of another checkout of it. */
import { join } from 'node:path';
import { FITTING_MTU, innerAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

/** The default MTU of `ip tuntap add`, and so of the README's steps. */
const UNTOUCHED_MTU = 1500;

export const TTUN_MTUS = [FITTING_MTU, UNTOUCHED_MTU] as const;

export type TtunMtu = (typeof TTUN_MTUS)[number];

/** As the README starts it, but silent. `checkout` is a directory with a finished build. */
export function ttun(label: string, checkout: string, tunMtu: TtunMtu): Contender {
  return {
    name: `${label}-${tunMtu}`,
    description: `${label === 'ttun' ? 'this checkout' : checkout}, device MTU ${tunMtu}`,
    programs: [],
    tunMtu,
    start(near, far) {
      const [local, remote] = [near.outer.ipv4, far.outer.ipv4];
      const program = [process.execPath, join(checkout, 'dist', 'bin.js')];
      return near.start([...program, '-q', near.tun, local, `${PORT}`, remote, `${PORT}`]);
    },
    addresses: innerAddresses,
  };
}
