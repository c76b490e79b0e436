/** The kernel's own encapsulation in UDP. */
import type { Site } from '../../testbed/site.ts';
import { FITTING_MTU, ownAddresses } from './contender.ts';
import type { Contender } from './contender.ts';

/** 1500 − 50: VXLAN carries Ethernet frames behind its own header, so it needs more room than one IP packet in UDP. */
const VXLAN_MTU = 1450;
const NETWORK_ID = 42;

export const vxlan: Contender = {
  name: 'vxlan',
  description: `VXLAN in the kernel, MTU ${VXLAN_MTU}`,
  programs: [],
  tunMtu: FITTING_MTU,
  async prepare({ a, b }) {
    await addDevice(a, b);
    await addDevice(b, a);
  },
  addresses: ownAddresses,
};

async function addDevice(near: Site, far: Site): Promise<void> {
  const ends = `local ${near.outer.ipv4} remote ${far.outer.ipv4} dev ${near.veth}`;
  await near.ipBatch(
    `link add vx0 mtu ${VXLAN_MTU} type vxlan id ${NETWORK_ID} ${ends} dstport 4789`,
    `address add ${ownAddresses(near).ipv4}/24 dev vx0`,
    'link set vx0 up',
  );
}
