import test from 'ava';
import { TtunError } from '../../src/errors.ts';
import { formatNetwork, parseNetwork } from '../../src/network.ts';
import { parseEndpoint } from '../../src/address.ts';
import { resolveOptions } from '../../src/config/resolve.ts';
import type { TunnelOptions } from '../../src/options.ts';

const GOOD = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };

/** Options as a JavaScript program may give them: the types would not let these through. */
function refusal(options: unknown): TtunError {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the point is what happens without the help of types
    resolveOptions(options as TunnelOptions);
  } catch (error) {
    if (error instanceof TtunError) return error;
    throw error;
  }
  throw new Error('the options were accepted');
}

test('three options are enough, and all offloads are used', (t) => {
  t.deepEqual(resolveOptions(GOOD), {
    ...GOOD,
    local: parseEndpoint(GOOD.local),
    remote: parseEndpoint(GOOD.remote),
    peers: null,
    allowedSources: null,
    clampMss: true,
    bindDevice: null,
    fwmark: null,
    pathMtu: 'fragment',
    ecn: false,
    dscp: 0,
    zeroChecksum6: false,
    queue: true,
    rate: null,
    sendBuffer: null,
    busyPoll: null,
    reattach: false,
    probe: null,
    interface: null,
    offload: { checksum: true, tso: true, uso: true, segment: true, receive: true, virtioHeader: true },
  });
});

test('every option is passed on', (t) => {
  const options = {
    ...GOOD,
    allowedSources: ['10.0.2.0/24', 'fd00:2::/64'],
    clampMss: false,
    offload: { checksum: false, tso: false, uso: false, segment: false, receive: false, virtioHeader: false },
  };
  t.like(resolveOptions(options), {
    ...options,
    local: parseEndpoint(GOOD.local),
    remote: parseEndpoint(GOOD.remote),
    allowedSources: options.allowedSources.map(parseNetwork),
  });
});

test('offloads that are not named stay on', (t) => {
  t.like(resolveOptions({ ...GOOD, offload: { tso: false } }), { offload: { tso: false, uso: true } });
});

test('an undefined option has its default', (t) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- exactOptionalPropertyTypes forbids it, JavaScript does not
  const options = { ...GOOD, clampMss: undefined, offload: undefined } as unknown as TunnelOptions;
  t.deepEqual(resolveOptions(options), resolveOptions(GOOD));
});

test('IPv6 ends are spelt canonically, and zones stay as written', (t) => {
  const ends = { local: '[FE80:0::1%3]:8000', remote: '[fe80::2%3]:8000' };
  t.like(resolveOptions({ ...GOOD, ...ends }), {
    local: parseEndpoint('[fe80::1%3]:8000'),
    remote: parseEndpoint('[fe80::2%3]:8000'),
  });
});

test('the local address may be left to the routing table', (t) => {
  const { local } = resolveOptions({ ...GOOD, local: '0.0.0.0:8000' });
  t.deepEqual(local, parseEndpoint('0.0.0.0:8000'));
});

test('an allowed source without a prefix length is a single address', (t) => {
  const { allowedSources } = resolveOptions({ ...GOOD, allowedSources: ['10.0.2.7', 'FD00:2::7'] });
  t.deepEqual(allowedSources?.map(formatNetwork), ['10.0.2.7/32', 'fd00:2::7/128']);
});

const WRONG: readonly (readonly [what: string, options: unknown, message: string, hint: string])[] = [
  ['a missing device', { ...GOOD, device: undefined }, 'device: is missing', "give a string such as 'tun0'"],
  [
    'a device that is a number',
    { ...GOOD, device: 0 },
    'device: 0 is not a string',
    "give a string such as 'tun0'",
  ],
  [
    'a device name of 16 bytes',
    { ...GOOD, device: 'abcdefghijklmnop' },
    "device: 'abcdefghijklmnop' is longer than 15 bytes, the limit for interface names",
    'give the name of a TUN device, as shown by: ip tuntap',
  ],
  [
    'a device name with a slash',
    { ...GOOD, device: '../tun0' },
    'device: "../tun0" is not a valid interface name',
    'give the name of a TUN device, as shown by: ip tuntap',
  ],
  [
    'an end without port',
    { ...GOOD, local: '192.0.2.1' },
    "local: '192.0.2.1' has no port",
    "write it as '192.0.2.1:8000'",
  ],
  [
    'an IPv6 end without brackets',
    { ...GOOD, local: '2001:db8::1:8000' },
    "local: '2001:db8::1:8000' has no port, or no brackets around its address",
    "write it as '[2001:db8::1]:8000'",
  ],
  [
    'another IPv6 end without brackets',
    { ...GOOD, local: 'fd00::2:8001' },
    "local: 'fd00::2:8001' has no port, or no brackets around its address",
    "write it as '[fd00::2]:8001'",
  ],
  [
    'an IPv6 end without port',
    { ...GOOD, local: 'fd00::2' },
    "local: 'fd00::2' has no port, or no brackets around its address",
    "write it as '[fd00::2]:8000'",
  ],
  [
    'an IPv4 end in brackets',
    { ...GOOD, local: '[192.0.2.1]:8000' },
    "local: '[192.0.2.1]:8000' has an IPv4 address in brackets",
    "write '192.0.2.1:8000'",
  ],
  [
    'a port of 65536',
    { ...GOOD, remote: '192.0.2.2:65536' },
    "remote: '65536' is not a UDP port",
    'give a number from 1 to 65535',
  ],
  [
    'a host name as the local end',
    { ...GOOD, local: 'gateway.example:8000' },
    "local: 'gateway.example' is not a numeric IP address, and names are not looked up here",
    'find its address with: getent hosts gateway.example',
  ],
  [
    'ends of different families',
    { ...GOOD, remote: '[2001:db8::2]:8000' },
    'remote: 192.0.2.1 is IPv4 but 2001:db8::2 is IPv6',
    'give two IPv4 or two IPv6 addresses',
  ],
  [
    'a tunnel to itself',
    { ...GOOD, remote: '192.0.2.1:8000' },
    'remote: the local and the remote end are both 192.0.2.1:8000',
    'give the address and port of the other host as the remote end',
  ],
  [
    'a remote end that is no host',
    { ...GOOD, remote: '0.0.0.0:8000' },
    "remote: '0.0.0.0:8000' is not the address and port of one host",
    'give those of the peer; if they are not known, as behind a NAT: remote = "learn", with peers',
  ],
  ...[
    '0.0.0.0:0',
    '[::]:8000',
    '::',
    '10.0.1.254:0',
    '10.0.1.254:*',
    '[2001:db8::2]:0',
    '*',
    '*:8000',
    ':8000',
    'any',
    '%any',
  ].map(
    (remote) =>
      [
        `a remote end that is not known: ${remote}`,
        { ...GOOD, remote },
        `remote: '${remote}' is not the address and port of one host`,
        'give those of the peer; if they are not known, as behind a NAT: remote = "learn", with peers',
      ] as const,
  ),
  [
    'a port that is learned',
    { ...GOOD, remote: 'learn:8000' },
    "remote: 'learn:8000' has a port, which is learned as well",
    "write it as 'learn'",
  ],
  [
    'a multicast group as the remote end',
    { ...GOOD, local: '[2001:db8::1]:8000', remote: '[ff0e::1]:8000' },
    'remote: ff0e::1 is a multicast address',
    'give the address of one host',
  ],
  [
    'all hosts as the remote end',
    { ...GOOD, remote: '255.255.255.255:8000' },
    'remote: 255.255.255.255 is a broadcast address',
    'give the address of one host',
  ],
  [
    'an IPv4 address in the form of IPv6',
    { ...GOOD, remote: '[::ffff:192.0.2.2]:8000' },
    "remote: '::ffff:192.0.2.2' is an IPv4-mapped IPv6 address",
    'write it as 192.0.2.2',
  ],
  [
    'a link-local address without its interface',
    { ...GOOD, local: '[fe80::1]:8000', remote: '[fe80::2%3]:8000' },
    'local: fe80::1 is link-local and exists on every link',
    'name the interface: fe80::1%eth0',
  ],
  [
    'a peer to be learned from anywhere',
    { ...GOOD, remote: 'learn' },
    'remote: without peers, anyone on the internet could become the peer',
    'add the networks from which the peer may send, such as peers = ["203.0.113.0/24"]',
  ],
  [
    'a peer that is given and learned',
    { ...GOOD, peers: ['203.0.113.0/24'] },
    'peers: applies only if the peer is learned',
    'set remote = "learn", or remove peers',
  ],
  [
    'no network to learn from',
    { ...GOOD, remote: 'learn', peers: [] },
    'peers: an empty list would accept no peer',
    'give the network from which the peer sends',
  ],
  [
    'a host name to learn from',
    { ...GOOD, remote: 'learn', peers: ['home.example'] },
    "peers[0]: 'home.example' is not a numeric IP address, and names are not looked up here",
    'find its address with: getent hosts home.example',
  ],
  [
    'networks of both families',
    { ...GOOD, local: ':8000', remote: 'learn', peers: ['203.0.113.0/24', '2001:db8::/32'] },
    'peers: 203.0.113.0 is IPv4 but 2001:db8:: is IPv6',
    'give networks of one family: a tunnel uses either IPv4 or IPv6',
  ],
  [
    'networks of another family than the local address',
    { ...GOOD, remote: 'learn', peers: ['2001:db8::/32'] },
    'peers: 2001:db8:: is IPv6 but the local address 192.0.2.1 is IPv4',
    'give networks of the family of the local address',
  ],
  [
    'a multicast network to learn from',
    { ...GOOD, remote: 'learn', peers: ['239.0.0.0/8'] },
    'peers[0]: 239.0.0.0 is a multicast address',
    'give the address of one host',
  ],
  [
    'no address to learn from',
    { ...GOOD, remote: 'learn', peers: ['0.0.0.0'] },
    'peers[0]: 0.0.0.0 is not the address of a host',
    "give the network of the peer, or '0.0.0.0/0' for any address",
  ],
  [
    'a network to learn from that has no prefix length',
    { ...GOOD, remote: 'learn', peers: ['203.0.113.0/'] },
    "peers[0]: '203.0.113.0/' has no prefix length from 0 to 32",
    "write it as '203.0.113.0/32'",
  ],
  [
    'the same network twice',
    { ...GOOD, remote: 'learn', peers: ['203.0.113.0/24', '203.0.113.0/24'] },
    "peers[1]: '203.0.113.0/24' is listed twice",
    'remove one of them',
  ],
  [
    'learn in capital letters',
    { ...GOOD, remote: 'LEARN', peers: ['203.0.113.0/24'] },
    "remote: 'LEARN' has capital letters",
    "write it as 'learn'",
  ],
  [
    'UDP over IPv6 without checksums from a peer learned over IPv4',
    { ...GOOD, local: ':8000', remote: 'learn', peers: ['203.0.113.0/24'], zeroChecksum6: true },
    'zeroChecksum6: applies to UDP over IPv6 only, but 203.0.113.0 is an IPv4 address',
    'omit it; over IPv4, datagrams without a checksum are always accepted',
  ],
  [
    'no allowed source at all',
    { ...GOOD, allowedSources: [] },
    'allowedSources: an empty list would accept no packet',
    'give a network, or omit the option to accept all',
  ],
  [
    'a prefix that is too long',
    { ...GOOD, allowedSources: ['10.0.2.0/33'] },
    "allowedSources[0]: '10.0.2.0/33' has no prefix length from 0 to 32",
    "write it as '10.0.2.0/32'",
  ],
  [
    'a switch that is a string',
    { ...GOOD, clampMss: 'no' },
    'clampMss: "no" is not a boolean',
    'give true or false',
  ],
  [
    'an unknown option',
    { ...GOOD, colour: 'red' },
    'colour: unknown option',
    'the options are device, local, remote, peers, allowedSources, clampMss, bindDevice, fwmark, pathMtu, ecn, dscp, zeroChecksum6, queue, rate, sendBuffer, busyPoll, reattach, probe, interface, offload',
  ],
  [
    'an unknown offload',
    { ...GOOD, offload: { lro: true } },
    'offload.lro: unknown option',
    'the options are checksum, tso, uso, segment, receive, virtioHeader',
  ],
  [
    'an offload that is not an object',
    { ...GOOD, offload: true },
    'offload: true is not an object',
    'give an object of options',
  ],
];

for (const [what, options, message, hint] of WRONG) {
  test(`${what} is refused, with a hint`, (t) => {
    const error = refusal(options);
    t.is(error.code, 'ERR_TTUN_INVALID_OPTIONS');
    t.is(error.message, message);
    t.is(error.hint, hint);
  });
}

test('all problems are reported at once', (t) => {
  const { message } = refusal({ device: 'tun0', local: 'here', remote: '192.0.2.2:8000', clampMss: 1 });
  t.regex(message, /^local: .*; clampMss: 1 is not a boolean$/);
});

test('options that are not an object are refused', (t) => {
  for (const [options, shown] of [
    [undefined, 'undefined'],
    [[], '[]'],
    ['tun0', '"tun0"'],
  ]) {
    t.is(refusal(options).message, `options: ${String(shown)} is not an object`);
  }
});
