/** What the kernel has for speed. There is nothing to type but for another kernel. */
import type { HostFacts, Kernel, Version } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** Kernels whose UDP segmentation garbles headers with some drivers: introduced in 7.0, mended in 7.1.5. */
const SEGMENT_BUG: { readonly first: Version; readonly mended: Version } = {
  first: [7, 0, 0],
  mended: [7, 1, 5],
};
/** TUN_F_USO4 and TUN_F_USO6 (drivers/net/tun.c). */
const USO_SINCE: Version = [6, 2, 0];

export function checkKernel({ kernel, udp }: HostFacts): Finding[] {
  const { release, version } = kernel;
  const found: Finding[] = [];
  if (udp?.segment === false) found.push(missing('segment-missing', 'UDP_SEGMENT', kernel));
  if (udp?.receive === false) found.push(missing('gro-missing', 'UDP_GRO', kernel));
  if (isBefore(version, USO_SINCE)) found.push(missing('uso-missing', 'USO', kernel));
  if (!isBefore(version, SEGMENT_BUG.first) && isBefore(version, SEGMENT_BUG.mended)) {
    found.push(
      finding('segment-bug', `Linux ${release} may garble what is sent by UDP_SEGMENT`, {
        advice:
          'if the peer receives fewer packets than are sent: offload = { segment = false } in the tunnel, or Linux 7.1.5',
      }),
    );
  }
  return found.length > 0 ? found : [ok(`Linux ${release} has UDP_SEGMENT, UDP_GRO and USO`)];
}

function missing(
  code: 'segment-missing' | 'gro-missing' | 'uso-missing',
  feature: string,
  { release }: Kernel,
): Finding {
  return finding(code, `Linux ${release} has no ${feature}`, { advice: 'use a newer kernel' });
}

function isBefore(version: Version, other: Version): boolean {
  const at = version.findIndex((part, index) => part !== other[index]);
  return at !== -1 && (version[at] ?? 0) < (other[at] ?? 0);
}
