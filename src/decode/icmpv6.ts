import { readEmbeddedIpv6 } from './embedded.ts';
import type { Embedded } from './embedded.ts';
import type { View } from './view.ts';

/** RFC 4443. @throws CutShort */
export function describeIcmpv6(view: View): string {
  return `ICMP6, ${describeMessage(view)}, length ${view.length}`;
}

function describeMessage(view: View): string {
  const type = view.u8(0);
  const code = view.u8(1);
  switch (type) {
    case 1:
      return `destination unreachable, ${describeUnreachable(code, readEmbeddedIpv6(view.slice(8)))}`;
    case 2:
      return `packet too big, mtu ${view.u32(4)}`;
    case 3:
      return describeTimeExceeded(code, view);
    case 4: {
      const what = ['erroneous', 'next header', 'option'][code];
      return `parameter problem, ${what ?? `code-#${code}`} - octet ${view.u32(4)}`;
    }
    case 128:
      return `echo request, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 129:
      return `echo reply, id ${view.u16(4)}, seq ${view.u16(6)}`;
    // Multicast listener discovery: RFC 2710 and, with reports of type 143, RFC 3810.
    case 130:
      return `multicast listener query${view.length >= 28 ? ' v2' : ''} [gaddr ${view.ipv6(8)}]`;
    case 131:
      return `multicast listener report, addr: ${view.ipv6(8)}`;
    case 132:
      return `multicast listener done, addr: ${view.ipv6(8)}`;
    case 143:
      return `multicast listener report v2, ${view.u16(6)} group record(s)`;
    // Neighbour discovery: RFC 4861.
    case 133:
      return 'router solicitation';
    case 134:
      return 'router advertisement';
    case 135:
      return `neighbor solicitation, who has ${view.ipv6(8)}`;
    case 136:
      return `neighbor advertisement, tgt is ${view.ipv6(8)}`;
    case 137:
      return `redirect, ${view.ipv6(24)} to ${view.ipv6(8)}`;
    default:
      return `unknown icmp6 type (${type})`;
  }
}

function describeUnreachable(code: number, packet: Embedded): string {
  const { source, destination, protocol, transport } = packet;
  switch (code) {
    case 0:
      return `unreachable route ${destination}`;
    case 1:
      return `unreachable prohibited ${destination}`;
    case 2:
      return `beyond scope ${destination}, source address ${source}`;
    case 3:
      return `unreachable address ${destination}`;
    case 4:
      return `unreachable port, ${destination} ${transport ?? `protocol ${protocol}`} port ${packet.destinationPort()}`;
    default:
      return `unknown unreach code (${code})`;
  }
}

function describeTimeExceeded(code: number, view: View): string {
  if (code === 0) return `time exceeded in-transit for ${readEmbeddedIpv6(view.slice(8)).destination}`;
  return code === 1
    ? 'time exceeded in-transit (reassembly)'
    : `time exceeded in-transit, unknown code (${code})`;
}
