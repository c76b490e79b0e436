import { randomFillSync } from 'node:crypto';
import test from 'ava';
import { describePacket } from '../../src/decode/packet.ts';
import { bytesOf, FD00_2, icmp, ipv4, ipv6, tcp, udp } from './packets.ts';

const V4 = 'IP 10.0.2.1 > 10.0.2.2:';
const V4_PORTS = 'IP 10.0.2.1.5001 > 10.0.2.2.5002:';
const V6 = 'IP6 fd00::1 > fd00::2:';
const V6_PORTS = 'IP6 fd00::1.5001 > fd00::2.5002:';
const REFUSED = ipv4(17, udp(0));
const HOP_BY_HOP = '3a00 0502 0000 0100';

/** What tcpdump 4.99 says of them with -n -S -t, but for its doubled spaces and lost closing brackets. */
const PACKETS: readonly (readonly [what: string, packet: string, description: string])[] = [
  [
    'an echo request',
    ipv4(1, icmp(8, 0, '00010002', '00'.repeat(56))),
    `${V4} ICMP echo request, id 1, seq 2, length 64`,
  ],
  ['an echo reply', ipv4(1, icmp(0, 0, '00010002')), `${V4} ICMP echo reply, id 1, seq 2, length 8`],
  [
    'a refused port',
    ipv4(1, icmp(3, 3, undefined, REFUSED)),
    `${V4} ICMP 10.0.2.2 udp port 5002 unreachable, length 36`,
  ],
  [
    'an unknown protocol',
    ipv4(1, icmp(3, 2, undefined, REFUSED)),
    `${V4} ICMP 10.0.2.2 protocol 17 unreachable, length 36`,
  ],
  [
    'a learnt MTU',
    ipv4(1, icmp(3, 4, '00000578', REFUSED)),
    `${V4} ICMP 10.0.2.2 unreachable - need to frag (mtu 1400), length 36`,
  ],
  [
    'a host out of reach',
    ipv4(1, icmp(3, 1, undefined, REFUSED)),
    `${V4} ICMP host 10.0.2.2 unreachable, length 36`,
  ],
  [
    'a forbidden host',
    ipv4(1, icmp(3, 10, undefined, REFUSED)),
    `${V4} ICMP host 10.0.2.2 unreachable - admin prohibited, length 36`,
  ],
  [
    'an exceeded hop limit',
    ipv4(1, icmp(11, 0, undefined, REFUSED)),
    `${V4} ICMP time exceeded in-transit, length 36`,
  ],
  [
    'a redirect',
    ipv4(1, icmp(5, 1, '0a000001', REFUSED)),
    `${V4} ICMP redirect 10.0.2.2 to host 10.0.0.1, length 36`,
  ],
  ['an ICMP type without a name', ipv4(1, icmp(42, 0)), `${V4} ICMP type-#42, length 8`],
  [
    'a SYN and its options',
    ipv4(6, tcp(0x02, '020405b4 0402080a 00000001 00000000 0103030a')),
    `${V4_PORTS} Flags [S], seq 4000000000, win 64240, options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 10], length 0`,
  ],
  [
    'selective acknowledgements',
    ipv4(6, tcp(0x10, '01010512 00000001 00000002 00000003 0000000a')),
    `${V4_PORTS} Flags [.], ack 77, win 64240, options [nop,nop,sack 2 {1:2}{3:10}], length 0`,
  ],
  [
    'a request for a fast-open cookie',
    ipv4(6, tcp(0x02, '2202 0000')),
    `${V4_PORTS} Flags [S], seq 4000000000, win 64240, options [tfo  cookiereq,eol], length 0`,
  ],
  [
    'data',
    ipv4(6, tcp(0x18, '', '616263')),
    `${V4_PORTS} Flags [P.], seq 4000000000:4000000003, ack 77, win 64240, length 3`,
  ],
  [
    'every TCP flag',
    ipv4(6, tcp(0xff)),
    `${V4_PORTS} Flags [FSRP.UEW], seq 4000000000, ack 77, win 64240, urg 5, length 0`,
  ],
  ['no TCP flag', ipv4(6, tcp(0)), `${V4_PORTS} Flags [none], win 64240, length 0`],
  [
    'a TCP header that is too short',
    ipv4(6, tcp(2, '', '', 3)),
    `${V4_PORTS} tcp 8 [bad hdr length 12 - too short, < 20]`,
  ],
  [
    'a TCP header that is too long',
    ipv4(6, tcp(2, '', '', 15)),
    `${V4_PORTS} Flags [S] [bad hdr length 60 - too long, > 20]`,
  ],
  [
    'a malformed TCP option',
    ipv4(6, tcp(2, '0204058c 020a0000')),
    `${V4_PORTS} Flags [S], seq 4000000000, win 64240, options [mss 1420,[bad opt]], length 0`,
  ],
  ['a UDP datagram', ipv4(17, udp(12)), `${V4_PORTS} UDP, length 12`],
  ['a UDP length beyond the packet', ipv4(17, udp(10, 42)), `${V4_PORTS} UDP, bad length 42 > 10`],
  ['a first fragment', ipv4(17, udp(8, 2000), '2000'), `${V4_PORTS} UDP, length 2000`],
  ['a later fragment', ipv4(17, '78'.repeat(8), '2010'), `${V4} ip-proto-17`],
  ['a protocol by its number', ipv4(253, '00'.repeat(24)), `${V4} ip-proto-253 24`],
  ['a protocol by its name', ipv4(132, '00'.repeat(24)), `${V4} SCTP, length 24`],
  ['ESP', ipv4(50, '00001000 00000007 0000000000000000'), `${V4} ESP(spi=0x00001000,seq=0x7), length 16`],
  [
    'an IGMP report',
    ipv4(2, '2200f901 00000001 04000000 e00000fb'),
    `${V4} igmp v3 report, 1 group record(s)`,
  ],
  ['IPv4 in IPv4', ipv4(4, ipv4(17, udp(5))), `${V4} ${V4_PORTS} UDP, length 5`],
  ['IPv6 in IPv4', ipv4(41, ipv6(17, udp(5))), `${V4} ${V6_PORTS} UDP, length 5`],
  ['TCP over IPv6', ipv6(6, tcp(0x10)), `${V6_PORTS} Flags [.], ack 77, win 64240, length 0`],
  [
    'an echo request of IPv6',
    ipv6(58, icmp(128, 0, '00010002', '00'.repeat(56))),
    `${V6} ICMP6, echo request, id 1, seq 2, length 64`,
  ],
  [
    'a refused port of IPv6',
    ipv6(58, icmp(1, 4, undefined, ipv6(6, tcp(2)))),
    `${V6} ICMP6, destination unreachable, unreachable port, fd00::2 tcp port 5002, length 68`,
  ],
  [
    'a packet that is too big',
    ipv6(58, icmp(2, 0, '00000500', ipv6(17, udp(0)))),
    `${V6} ICMP6, packet too big, mtu 1280, length 56`,
  ],
  [
    'an exceeded hop limit of IPv6',
    ipv6(58, icmp(3, 0, undefined, ipv6(17, udp(0)))),
    `${V6} ICMP6, time exceeded in-transit for fd00::2, length 56`,
  ],
  [
    'a neighbour that is looked for',
    ipv6(58, icmp(135, 0, undefined, FD00_2)),
    `${V6} ICMP6, neighbor solicitation, who has fd00::2, length 24`,
  ],
  [
    'a neighbour that answers',
    ipv6(58, icmp(136, 0, '60000000', FD00_2)),
    `${V6} ICMP6, neighbor advertisement, tgt is fd00::2, length 24`,
  ],
  [
    'a listener report behind hop-by-hop options',
    ipv6(0, `${HOP_BY_HOP} ${icmp(143, 0, '00000001', `04000000 ${FD00_2}`)}`),
    `${V6} HBH ICMP6, multicast listener report v2, 1 group record(s), length 28`,
  ],
  [
    'UDP behind destination options',
    ipv6(60, `1100 0104 0000 0000 ${udp(5)}`),
    `${V6} DSTOPT 5001 > 5002: UDP, length 5`,
  ],
  [
    'a first fragment of IPv6',
    ipv6(44, `1100 0001 00000007 ${udp(40, 2000)}`),
    `${V6} frag (0|48) 5001 > 5002: UDP, length 2000`,
  ],
  ['a later fragment of IPv6', ipv6(44, `1100 04d0 00000007 ${'78'.repeat(8)}`), `${V6} frag (1232|8)`],
  ['nothing behind IPv6', ipv6(59, ''), `${V6} no next header`],
  ['another version of IP', '75'.repeat(20), 'unknown ip 7'],
  ['an IPv4 header length of 12', `43${ipv4(17, udp(9)).slice(2)}`, 'IP bad-hlen 12'],
];

for (const [what, packet, description] of PACKETS) {
  test(`${what} is described as tcpdump does`, (t) => {
    const bytes = bytesOf(packet);
    t.is(describePacket(bytes, bytes.length), description);
  });
}

test('a packet of which only the headers were copied is described with its whole length', (t) => {
  const bytes = bytesOf(ipv4(17, udp(1000)));
  t.is(describePacket(bytes.subarray(0, 128), bytes.length), `${V4_PORTS} UDP, length 1000`);
});

test('a packet shorter than its header claims is described as truncated', (t) => {
  const bytes = bytesOf(ipv4(17, udp(12))).subarray(0, 36);
  t.is(
    describePacket(bytes, 36),
    `IP truncated-ip - 4 bytes missing! 10.0.2.1.5001 > 10.0.2.2.5002: UDP, bad length 12 > 8`,
  );
});

const IPV6_SPELLINGS = [
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000000000000001', '::1'],
  ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['fe800000000000000000000000000000', 'fe80::'],
  ['00010000000000000000000200000000', '1::2:0:0'],
] as const;

for (const [address, spelling] of IPV6_SPELLINGS) {
  test(`the IPv6 address ${spelling} is written as in RFC 5952`, (t) => {
    const bytes = bytesOf(`60000000 0000 3b 40 ${address} ${address}`);
    t.is(describePacket(bytes, bytes.length), `IP6 ${spelling} > ${spelling}: no next header`);
  });
}

test('a packet cut anywhere is described in one line', (t) => {
  for (const [, packet] of PACKETS) {
    const whole = bytesOf(packet);
    for (let cut = 0; cut <= whole.length; cut += 1) {
      assertOneLine(t.regex, describePacket(whole.subarray(0, cut), whole.length));
      assertOneLine(t.regex, describePacket(whole.subarray(0, cut), cut));
    }
  }
});

test('random bytes in any place of a packet are described in one line', (t) => {
  for (const [, packet] of PACKETS) {
    const whole = bytesOf(packet);
    for (let round = 0; round < 200; round += 1) {
      const bytes = Uint8Array.from(whole);
      const from = round % bytes.length;
      // The version stays, so that what follows it is looked at.
      randomFillSync(bytes, Math.max(1, from), Math.min(4, bytes.length - Math.max(1, from)));
      assertOneLine(t.regex, describePacket(bytes, bytes.length));
    }
  }
});

test('endlessly nested packets are described in one line', (t) => {
  let packet = ipv4(17, udp(0));
  for (let depth = 0; depth < 200; depth += 1) packet = ipv4(4, packet);
  const bytes = bytesOf(packet);
  assertOneLine(t.regex, describePacket(bytes, bytes.length));
});

/** Printable characters only: what a stranger sends must not reach the terminal as control codes. */
function assertOneLine(regex: (text: string, pattern: RegExp) => void, description: string): void {
  regex(description, /^[ -~]+$/);
}
