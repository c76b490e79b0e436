import { readEmbeddedIpv4 } from './embedded.ts';
import type { Embedded } from './embedded.ts';
import type { View } from './view.ts';

/** RFC 792. @throws CutShort */
export function describeIcmp(view: View): string {
  return `ICMP ${describeMessage(view)}, length ${view.length}`;
}

function describeMessage(view: View): string {
  const type = view.u8(0);
  const code = view.u8(1);
  switch (type) {
    case 0:
      return `echo reply, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 3:
      return describeUnreachable(code, view.u16(6), readEmbeddedIpv4(view.slice(8)));
    case 4:
      return 'source quench';
    case 5:
      return describeRedirect(code, view.ipv4(4), readEmbeddedIpv4(view.slice(8)));
    case 8:
      return `echo request, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 9:
      return 'router advertisement';
    case 10:
      return 'router solicitation';
    case 11:
      if (code === 0) return 'time exceeded in-transit';
      return code === 1 ? 'ip reassembly time exceeded' : `time exceeded-#${code}`;
    case 12:
      return code === 0 ? `parameter problem - octet ${view.u8(4)}` : `parameter problem - code ${code}`;
    default:
      return `type-#${type}`;
  }
}

/** RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; the MTU is RFC 1191's. */
function describeUnreachable(code: number, mtu: number, packet: Embedded): string {
  const { destination, protocol, transport } = packet;
  switch (code) {
    case 0:
      return `net ${destination} unreachable`;
    case 1:
      return `host ${destination} unreachable`;
    case 2:
      return `${destination} protocol ${protocol} unreachable`;
    case 3:
      return `${destination} ${transport ?? `protocol ${protocol}`} port ${packet.destinationPort()} unreachable`;
    case 4:
      return `${destination} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`;
    default: {
      const [what, why] = UNREACHABLE.get(code) ?? ['', `#${code}`];
      return `${what}${destination} unreachable - ${why}`;
    }
  }
}

const UNREACHABLE: ReadonlyMap<number, readonly [what: string, why: string]> = new Map([
  [5, ['', 'source route failed']],
  [6, ['net ', 'unknown']],
  [7, ['host ', 'unknown']],
  [8, ['', 'source host isolated']],
  [9, ['net ', 'admin prohibited']],
  [10, ['host ', 'admin prohibited']],
  [11, ['net ', 'tos prohibited']],
  [12, ['host ', 'tos prohibited']],
  [13, ['host ', 'admin prohibited filter']],
  [14, ['host ', 'host precedence violation']],
  [15, ['host ', 'precedence cutoff']],
]);

function describeRedirect(code: number, gateway: string, { destination }: Embedded): string {
  switch (code) {
    case 0:
      return `redirect ${destination} to net ${gateway}`;
    case 1:
      return `redirect ${destination} to host ${gateway}`;
    case 2:
      return `redirect-tos ${destination} to net ${gateway}`;
    case 3:
      return `redirect-tos ${destination} to host ${gateway}`;
    default:
      return `redirect-#${code} ${destination} to ${gateway}`;
  }
}
