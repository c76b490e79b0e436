/** Packets of a TCP and a UDP flow that follow each other so that they may be merged, and odd ones in between. */
import { ipPacket } from '../../testbed/packet/ip.ts';
import { tcpPacket, udpPacket } from '../../testbed/packet/transport.ts';
import type { Flow, IpOptions, TcpFields } from '../../testbed/packet/transport.ts';
import type { Addresses, Family } from '../../testbed/site.ts';

/** Length of each packet unless asked otherwise: packets of one length are the ones that travel, and merge, together. */
const PACKET_LENGTH = 200;

/** Addresses in the tunnel's networks that no host has: the kernel at the other end drops what comes for them, and says nothing. */
export const ABSENT: Addresses = { ipv4: '10.0.2.77', ipv6: 'fd00:2::77' };

export class Conversation {
  readonly family: Family;
  readonly tcpFlow: Flow;
  readonly udpFlow: Flow;
  readonly #ipHeader: number;
  #sequence = 0;
  #id = 0;
  #datagrams = 0;

  constructor(family: Family, source: Addresses) {
    this.family = family;
    const addresses = { source: source[family], destination: ABSENT[family] };
    this.tcpFlow = { ...addresses, sourcePort: 5001, destinationPort: 5002 };
    this.udpFlow = { ...addresses, sourcePort: 6001, destinationPort: 6002 };
    this.#ipHeader = family === 'ipv4' ? 20 : 40;
  }

  /** Two segments that continue the stream and two more datagrams: neighbours for an odd packet. */
  neighbours(): Buffer[] {
    return [this.tcp(), this.tcp(), this.udp(), this.udp()];
  }

  /** The next segment of the stream. */
  tcp(
    fields: Partial<TcpFields> = {},
    ip: IpOptions = {},
    payload = this.#fill(20, ip, fields.options),
  ): Buffer {
    const packet = tcpPacket(this.tcpFlow, { sequence: this.#sequence, ...fields }, payload, this.#next(ip));
    this.#sequence += payload.length;
    return packet;
  }

  /** The next datagram. */
  udp(ip: IpOptions = {}, payload = this.#fill(8, ip)): Buffer {
    return udpPacket(this.udpFlow, payload, this.#next(ip));
  }

  /** A packet between the same hosts whose payload begins with `head` and fills it up to the usual length. */
  other(protocol: number, head: Uint8Array = new Uint8Array(), ip: IpOptions = {}): Buffer {
    const { source, destination } = this.udpFlow;
    return ipPacket(
      { ...this.#next(ip), source, destination, protocol },
      Buffer.concat([head, this.#fill(head.length, ip)]),
    );
  }

  /** The next datagram after `change`, which receives the offset of its UDP header. */
  changedUdp(change: (packet: Buffer, transport: number) => void): Buffer {
    return this.#changed(this.udp(), change);
  }

  /** The next segment after `change`, which receives the offset of its TCP header. */
  changedTcp(change: (packet: Buffer, transport: number) => void): Buffer {
    return this.#changed(this.tcp(), change);
  }

  #changed(packet: Buffer, change: (packet: Buffer, transport: number) => void): Buffer {
    change(packet, this.#ipHeader);
    return packet;
  }

  /** IDs count up over all packets of a host; without DF that is what lets neighbours of one flow merge. */
  #next(ip: IpOptions): IpOptions {
    this.#id += 1;
    return { id: this.#id, ...ip };
  }

  /** A payload that no other packet has, in which no byte is the first of an IP packet. */
  #fill(transportHeader: number, ip: IpOptions, options: Uint8Array = new Uint8Array()): Buffer {
    this.#datagrams += 1;
    const headers = this.#ipHeader + (ip.options?.length ?? 0) + transportHeader + options.length;
    const payload = Buffer.alloc(PACKET_LENGTH - headers, 0x11);
    payload.writeUInt32BE(this.#datagrams, 4);
    return payload;
  }
}
