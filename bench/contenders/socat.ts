/** socat between the TUN device and a UDP socket: one packet a system call, the same packets on the wire as ttun's. */
import { NEAR_LINKS } from '../links.ts';
import { FITTING_MTU, innerAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

export const socat: Contender = {
  name: 'socat',
  description: `socat between TUN and UDP, MTU ${FITTING_MTU}`,
  programs: ['socat'],
  tunMtu: FITTING_MTU,
  links: NEAR_LINKS,
  start: (near, far) =>
    near.start([
      'socat',
      `TUN,tun-name=${near.tun},tun-type=tun,iff-no-pi`,
      `UDP4:${far.outer.ipv4}:${PORT},bind=${near.outer.ipv4}:${PORT}`,
    ]),
  addresses: innerAddresses,
};
