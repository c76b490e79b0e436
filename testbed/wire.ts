/** Makes a veth send packets of the same sizes as a network card. */
import type { Site } from './site.ts';

/**
 * Every feature with which a veth would pass a super-packet across whole, and the receive offload that a card's driver has.
 * `tx-udp_tnl-segmentation` is VXLAN's.
 */
const FEATURES = {
  tso: 'off',
  gso: 'off',
  'tx-udp-segmentation': 'off',
  'tx-udp_tnl-segmentation': 'off',
  gro: 'on',
} as const;

/** The names under which `ethtool -k` reports them. */
const REPORTED_AS: Readonly<Record<string, string>> = {
  tx: 'tx-checksumming',
  tso: 'tcp-segmentation-offload',
  gso: 'generic-segmentation-offload',
  gro: 'generic-receive-offload',
};

/** Who computes the checksums of what is sent: the kernel's protocols, or the device, as most network cards can. */
export type Checksums = 'kernel' | 'device';

/** Packets leave the device at MTU size and are merged on receiving by GRO. */
export async function sendLikeNetworkCard(site: Site, device: string, checksums: Checksums): Promise<void> {
  const features = { tx: checksums === 'device' ? 'on' : 'off', ...FEATURES };
  await site.run(['ethtool', '-K', device, ...Object.entries(features).flat()]);
  // ethtool does not report a feature that the device cannot turn off.
  const { stdout } = await site.run(['ethtool', '-k', device]);
  for (const [feature, wanted] of Object.entries(features)) {
    const name = REPORTED_AS[feature] ?? feature;
    const state = new RegExp(`^\\s*${name}: (on|off)`, 'm').exec(stdout)?.[1];
    if (state !== wanted) throw new Error(`${device}: ${name} is ${state ?? 'unknown'} instead of ${wanted}`);
  }
}
