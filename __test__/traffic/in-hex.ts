/** Packets in a form in which a failed comparison can be read. */
export function inHex(packets: readonly Buffer[]): string[] {
  return packets.map((packet) => packet.toString('hex'));
}
