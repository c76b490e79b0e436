/** Packets as hexadecimal text, from 10.0.2.1 to 10.0.2.2 and from fd00::1 to fd00::2. */

const IPV4_ADDRESSES = '0a000201 0a000202';
export const FD00_2 = 'fd00000000000000 0000000000000002';
const IPV6_ADDRESSES = `fd00000000000000 0000000000000001 ${FD00_2}`;

export function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** An IPv4 packet. `fragment` holds the flags and the offset. */
export function ipv4(protocol: number, payload: string, fragment = '0000'): string {
  const length = 20 + bytesOf(payload).length;
  return `4500 ${asHex(length, 4)} 0001 ${fragment} 40 ${asHex(protocol, 2)} 0000 ${IPV4_ADDRESSES} ${payload}`;
}

/** An IPv6 packet. */
export function ipv6(nextHeader: number, payload: string): string {
  return `60000000 ${asHex(bytesOf(payload).length, 4)} ${asHex(nextHeader, 2)} 40 ${IPV6_ADDRESSES} ${payload}`;
}

/** From port 5001 to port 5002, with `length` bytes of payload, or `claimed` of them by its header. */
export function udp(length: number, claimed = length): string {
  return `1389 138a ${asHex(8 + claimed, 4)} 0000 ${'78'.repeat(length)}`;
}

/** From port 5001 to port 5002, sequence number 4000000000, acknowledging 77, window 64240, urgent pointer 5. */
export function tcp(
  flags: number,
  options = '',
  payload = '',
  headerWords = 5 + bytesOf(options).length / 4,
): string {
  return `1389 138a ee6b2800 0000004d ${asHex(headerWords, 1)}0 ${asHex(flags, 2)} faf0 0000 0005 ${options} ${payload}`;
}

/** ICMP of either family: `rest` is the second word of its header. */
export function icmp(type: number, code: number, rest = '00000000', body = ''): string {
  return `${asHex(type, 2)} ${asHex(code, 2)} 0000 ${rest} ${body}`;
}

function asHex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
