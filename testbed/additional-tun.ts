/** Additional TUN devices in a site. */
import type { Addresses, Site } from './site.ts';

/** Creates another TUN device with its own addresses, up, to which no program is attached. */
export async function addTun(site: Site, name: string, mtu: number, addresses: Addresses): Promise<void> {
  await site.ipBatch(
    `tuntap add dev ${name} mode tun`,
    `link set ${name} mtu ${mtu}`,
    `address add ${addresses.ipv4}/24 dev ${name}`,
    `address add ${addresses.ipv6}/64 dev ${name} nodad`,
    `link set ${name} up`,
  );
}
