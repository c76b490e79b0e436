/** OpenVPN, point to point without TLS and so without encryption and authentication: the nearest to a plain tunnel. */
import { NEAR_LINKS } from '../links.ts';
import { FITTING_MTU, innerAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

export const openvpn: Contender = {
  name: 'openvpn',
  description: `OpenVPN without encryption, MTU ${FITTING_MTU}`,
  programs: ['openvpn'],
  tunMtu: FITTING_MTU,
  links: NEAR_LINKS,
  start(near, far) {
    const device = ['--dev', near.tun, '--dev-type', 'tun', '--tun-mtu', `${FITTING_MTU}`];
    // The device has its addresses already.
    const addresses = ['--ifconfig', near.inner.ipv4, far.inner.ipv4, '--ifconfig-noexec'];
    const local = ['--proto', 'udp', '--local', near.outer.ipv4, '--lport', `${PORT}`];
    const remote = ['--remote', far.outer.ipv4, `${PORT}`];
    const plain = ['--auth', 'none', '--cipher', 'none'];
    return near.start(['openvpn', ...device, ...addresses, ...local, ...remote, ...plain]);
  },
  addresses: innerAddresses,
};
