/** The beginning of the packet that an ICMP error is about: what names it. */
import type { View } from './view.ts';

export interface Embedded {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** `udp` or `tcp`, whose ports can be named; `null` for other protocols. */
  readonly transport: 'tcp' | 'udp' | null;
  /** @throws CutShort */
  destinationPort(): number;
}

/** @throws CutShort */
export function readEmbeddedIpv4(view: View): Embedded {
  const headerLength = (view.u8(0) & 0x0f) * 4;
  return {
    source: view.ipv4(12),
    destination: view.ipv4(16),
    protocol: view.u8(9),
    transport: transportOf(view.u8(9)),
    destinationPort: () => view.u16(headerLength + 2),
  };
}

/** @throws CutShort */
export function readEmbeddedIpv6(view: View): Embedded {
  return {
    source: view.ipv6(8),
    destination: view.ipv6(24),
    protocol: view.u8(6),
    transport: transportOf(view.u8(6)),
    destinationPort: () => view.u16(40 + 2),
  };
}

function transportOf(protocol: number): 'tcp' | 'udp' | null {
  if (protocol === 6) return 'tcp';
  return protocol === 17 ? 'udp' : null;
}
