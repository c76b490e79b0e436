/** The options of `createTunnel` besides device, local and remote. */
import test from 'ava';
import { resolveOptions } from '../../src/config/resolve.ts';
import { TtunError } from '../../src/errors.ts';
import { parseNetwork } from '../../src/network.ts';
import type { TunnelOptions } from '../../src/options.ts';
import type { ResolvedOptions } from '../../src/schema.ts';

const GOOD = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };

function resolved(options: Partial<TunnelOptions>): ResolvedOptions {
  return resolveOptions({ ...GOOD, ...options });
}

function refusal(options: object): string {
  try {
    resolveOptions({ ...GOOD, ...options });
  } catch (error) {
    if (error instanceof TtunError) return `${error.message} | ${error.hint}`;
    throw error;
  }
  throw new Error('the options were accepted');
}

test('a port alone leaves the local address to the routing table', (t) => {
  t.deepEqual(resolved({ local: ':8000' }).local, { address: null, port: 8000 });
  t.deepEqual(resolved({ local: ':8000', remote: '[2001:db8::1]:1' }).local, { address: null, port: 8000 });
});

const NAMES: readonly (readonly [written: string, name: string])[] = [
  ['gateway.example', 'gateway.example'],
  ['gateway.example.', 'gateway.example.'],
  ['localhost', 'localhost'],
  ['3com.example', '3com.example'],
  ['my_service', 'my_service'],
  ['büro.example', 'xn--bro-hoa.example'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
];

for (const [written, name] of NAMES) {
  test(`${written.slice(0, 20)} is a host name`, (t) => {
    t.deepEqual(resolved({ remote: `${written}:8000` }).remote, { name, port: 8000 });
  });
}

const NO_NAMES = [
  '-gateway',
  'gateway-.example',
  'a..example',
  '.example',
  'a b',
  'a@b',
  'x/y',
  '"quoted"',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(126)}toolong`,
  '%eth0',
];

for (const written of NO_NAMES) {
  test(`${written.slice(0, 20)} is not a host name`, (t) => {
    const text = refusal({ remote: `${written}:8000` });
    t.true(text.startsWith(`remote: '${written}' is neither an IP address nor a host n`));
    t.true(text.endsWith(' | write it as 192.0.2.2, [2001:db8::2] or gateway.example'));
  });
}

for (const written of ['192.0.2.256', '192.0.2', '0x7f', '127.1', 'gateway.1', '1']) {
  test(`${written} is an invalid address, not a name`, (t) => {
    t.regex(refusal({ remote: `${written}:8000` }), /^remote: '[\w.]+' is not /);
  });
}

test('interface options have all defaults filled in', (t) => {
  t.deepEqual(resolved({ interface: {} }).interface, {
    create: false,
    persist: false,
    owner: null,
    group: null,
    multiQueue: false,
    addresses: [],
    routes: [],
    mtu: null,
    up: null,
    restore: true,
  });
});

test('interface options are passed on, with addresses in canonical spelling', (t) => {
  const written = {
    create: true,
    persist: true,
    owner: 1000,
    group: 'netdev',
    multiQueue: true,
    addresses: ['10.0.2.1/24', 'FD00:2:0::1/64', 'fe80::1/64'],
    routes: ['10.9.0.0/16', '10.8.0.1', '0.0.0.0/0', '2001:DB8::/32'],
    mtu: 1400,
    up: false,
    restore: false,
  };
  t.deepEqual(resolved({ interface: written }).interface, {
    ...written,
    owner: '1000',
    addresses: ['10.0.2.1/24', 'fd00:2::1/64', 'fe80::1/64'].map(parseNetwork),
    routes: ['10.9.0.0/16', '10.8.0.1/32', '0.0.0.0/0', '2001:db8::/32'].map(parseNetwork),
  });
});

test('the MTU may be left to the route', (t) => {
  const { interface: device } = resolved({ interface: { mtu: 'auto', addresses: ['fd00:2::1/64'] } });
  t.is(device?.mtu, 'auto');
});

test('the socket may be bound to an interface, and marked', (t) => {
  const { bindDevice, fwmark, reattach } = resolved({
    bindDevice: 'eth0',
    fwmark: 0xffff_ffff,
    reattach: true,
  });
  t.deepEqual(
    { bindDevice, fwmark, reattach },
    { bindDevice: 'eth0', fwmark: 4_294_967_295, reattach: true },
  );
});

test('the DSCP may be a number, a name, or that of the packet inside', (t) => {
  const names = [0, 63, 'CS0', 'CS7', 'AF11', 'AF43', 'EF', 'VA', 'LE', 'inherit'];
  const values = names.map((dscp) => resolved({ dscp }).dscp);
  t.deepEqual(values, [0, 63, 0, 56, 10, 38, 46, 44, 1, 'inherit']);
  t.is(resolved({}).dscp, 0);
});

test('UDP over IPv6 without a checksum may be accepted where the peer may be reached over IPv6', (t) => {
  for (const remote of ['[2001:db8::2]:8000', 'gateway.example:8000']) {
    t.true(resolved({ local: ':8000', remote, zeroChecksum6: true }).zeroChecksum6);
  }
});

test('link-local networks need no interface among the allowed sources', (t) => {
  t.deepEqual(resolved({ allowedSources: ['fe80::/10'] }).allowedSources, [parseNetwork('fe80::/10')]);
});

const WRONG: readonly (readonly [what: string, options: object, refusal: string])[] = [
  [
    'a peer without port',
    { remote: 'gateway.example' },
    "remote: 'gateway.example' has no port | write it as 'gateway.example:8000'",
  ],
  ['an invalid local port', { local: ':0' }, "local: '0' is not a UDP port | give a number from 1 to 65535"],
  [
    'a device name with a place for a number',
    { device: 'tun%d' },
    'device: "tun%d" is not a valid interface name | give the name of a TUN device, as shown by: ip tuntap',
  ],
  [
    'a byte that is a space to the kernel',
    { device: 'tunà' },
    'device: "tunà" is not a valid interface name | give the name of a TUN device, as shown by: ip tuntap',
  ],
  [
    'a socket bound to the tunnel itself',
    { bindDevice: 'tun0' },
    'bindDevice: datagrams sent by tun0 would re-enter the tunnel | give the interface that leads to the peer, as shown by: ip route get',
  ],
  [
    'an interface name that is too long',
    { bindDevice: 'a-very-long-name' },
    "bindDevice: 'a-very-long-name' is longer than 15 bytes, the limit for interface names | give the name of an interface, as shown by: ip link",
  ],
  ['a mark of 0', { fwmark: 0 }, 'fwmark: 0 is not a mark | give a number from 1 to 4294967295'],
  ['a mark as text', { fwmark: '0x77' }, 'fwmark: "0x77" is not a number | give a number such as 119'],
  ...[64, -1, 1.5].map(
    (dscp) =>
      [
        `a DSCP of ${dscp}`,
        { dscp },
        `dscp: ${dscp} is not a DSCP | give a number from 0 to 63, a name such as 'EF', 'AF41' or 'CS6', or 'inherit'`,
      ] as const,
  ),
  [
    'a DSCP that is a number in quotes',
    { dscp: '46' },
    "dscp: '46' is not a DSCP | write the number without quotes: 46",
  ],
  ['a DSCP in lower case', { dscp: 'ef' }, "dscp: 'ef' is not a DSCP | write it as 'EF'"],
  [
    'a DSCP with another name',
    { dscp: 'AF44' },
    "dscp: 'AF44' is not a DSCP | give a number from 0 to 63, a name such as 'EF', 'AF41' or 'CS6', or 'inherit'",
  ],
  [
    'a DSCP of another type',
    { dscp: true },
    "dscp: true is not a number or a string | give 'inherit' or 'AF41' or 46",
  ],
  [
    'a way to treat packets that do not fit in another spelling',
    { pathMtu: 'Discover' },
    `pathMtu: "Discover" is not 'fragment' or 'discover' | give 'discover' or 'fragment'`,
  ],
  [
    'an MTU of the path',
    { pathMtu: 1400 },
    "pathMtu: 1400 is not 'fragment' or 'discover' | give 'discover' or 'fragment'",
  ],
  ['ECN as text', { ecn: 'inherit' }, 'ecn: "inherit" is not a boolean | give true or false'],
  [
    'UDP over IPv6 without a checksum between IPv4 addresses',
    { local: '192.0.2.1:8000', remote: '192.0.2.2:8000', zeroChecksum6: true },
    'zeroChecksum6: applies to UDP over IPv6 only, but 192.0.2.1 is an IPv4 address | omit it; over IPv4, datagrams without a checksum are always accepted',
  ],
  [
    'UDP over IPv6 without a checksum from an IPv4 address',
    { local: ':8000', remote: '192.0.2.2:8000', zeroChecksum6: true },
    'zeroChecksum6: applies to UDP over IPv6 only, but 192.0.2.2 is an IPv4 address | omit it; over IPv4, datagrams without a checksum are always accepted',
  ],
  [
    'an address without prefix length',
    { interface: { addresses: ['10.0.2.1'] } },
    "interface.addresses[0]: '10.0.2.1' has no prefix length, which determines its network | write it as '10.0.2.1/24'",
  ],
  [
    'an address that no interface can have',
    { interface: { addresses: ['::/64'] } },
    'interface.addresses[0]: no interface can have the address :: | give an address that is its own',
  ],
  [
    'a multicast address',
    { interface: { addresses: ['10.0.2.1/24', '224.0.0.1/24'] } },
    'interface.addresses[1]: 224.0.0.1 is a multicast address | give the address of one host',
  ],
  [
    'a zone where none is needed',
    { interface: { addresses: ['fe80::1%tun0/64'] } },
    "interface.addresses[0]: 'fe80::1%tun0' has a zone, which is not needed here | omit '%tun0'",
  ],
  [
    'an address that is listed twice',
    { interface: { addresses: ['fd00::1/64', 'FD00::1/64'] } },
    "interface.addresses[1]: 'fd00::1/64' is listed twice | remove one of them",
  ],
  [
    'a route with bits beyond its prefix',
    { interface: { routes: ['10.9.1.0/16'] } },
    "interface.routes[0]: '10.9.1.0/16' has bits beyond its prefix length | write it as '10.9.0.0/16', or as '10.9.1.0/32' for the one address",
  ],
  [
    'an IPv6 route with bits beyond its prefix',
    { interface: { routes: ['2001:db8::ff/121'] } },
    "interface.routes[0]: '2001:db8::ff/121' has bits beyond its prefix length | write it as '2001:db8::80/121', or as '2001:db8::ff/128' for the one address",
  ],
  [
    'an MTU that the kernel refuses',
    { interface: { mtu: 67 } },
    "interface.mtu: 67 is not an MTU | give a number of bytes from 68 to 65507, or 'auto'",
  ],
  [
    'an MTU with which a full packet would not fit a datagram',
    { interface: { mtu: 65_508 } },
    "interface.mtu: 65508 is not an MTU | give a number of bytes from 68 to 65507, or 'auto'",
  ],
  [
    'a fraction of a byte',
    { interface: { mtu: 1400.5 } },
    "interface.mtu: 1400.5 is not an MTU | give a number of bytes from 68 to 65507, or 'auto'",
  ],
  [
    'an MTU that is some word',
    { interface: { mtu: 'big' } },
    `interface.mtu: "big" is not a number or 'auto' | give 'auto' or 1472`,
  ],
  [
    'an MTU with which there is no IPv6',
    { interface: { mtu: 1279, routes: ['10.9.0.0/16', 'fd00::/8'] } },
    "interface.mtu: with an MTU of 1279 bytes the device cannot carry IPv6, which fd00::/8 requires | give at least 1280, or 'auto'",
  ],
  [
    'an owner of a device that is not created',
    { interface: { owner: 'alice' } },
    'interface.owner: applies only to a device that ttun creates | add create = true',
  ],
  [
    'a persistent device that is not created',
    { interface: { create: false, persist: true } },
    'interface.persist: applies only to a device that ttun creates | add create = true',
  ],
  [
    'a user ID that no user can have',
    { interface: { create: true, owner: 4_294_967_295 } },
    'interface.owner: 4294967295 is not a user ID | give the name or number of a user, as shown by: getent passwd',
  ],
  [
    'a group that has no name',
    { interface: { create: true, group: '' } },
    'interface.group: "" is not a group name | give the name or number of a group, as shown by: getent group',
  ],
  [
    'an owner that is neither name nor number',
    { interface: { create: true, owner: true } },
    "interface.owner: true is not a string or a number | give 'alice' or 1000",
  ],
];

for (const [what, options, expected] of WRONG) {
  test(`${what} is refused, with a hint`, (t) => {
    t.is(refusal(options), expected);
  });
}

const SLIPS: readonly (readonly [written: string, meant: string])[] = [
  ['allowed_sources', 'allowedSources'],
  ['allowed-sources', 'allowedSources'],
  ['AllowedSources', 'allowedSources'],
  ['allowedSource', 'allowedSources'],
  ['allowedIPs', 'allowedSources'],
  ['mss', 'clampMss'],
  ['clamp_mss', 'clampMss'],
  ['bind_device', 'bindDevice'],
  ['FwMark', 'fwmark'],
  ['mark', 'fwmark'],
  ['pmtudisc', 'pathMtu'],
  ['tos', 'dscp'],
  ['noencap-csum6', 'zeroChecksum6'],
  ['peer', 'remote'],
  ['endpoint', 'remote'],
  ['remot', 'remote'],
  ['interfaces', 'interface'],
  ['mtu', 'interface.mtu'],
  ['addresses', 'interface.addresses'],
  ['tso', 'offload.tso'],
];

for (const [written, meant] of SLIPS) {
  test(`for ${written}, ${meant} is suggested`, (t) => {
    t.is(refusal({ [written]: 1 }), `${written}: unknown option | did you mean ${meant}?`);
  });
}

test('all unknown options are reported, even those that every object has', (t) => {
  const options = { ...JSON.parse('{"__proto__": {"device": "x"}}'), constructor: 1, toString: 2, x: 3 };
  t.regex(
    refusal(options),
    /^__proto__: unknown option; constructor: unknown option; toString: unknown option; x: unknown option /,
  );
});

test('problems between two options are reported along with all others', (t) => {
  const text = refusal({ remote: '[2001:db8::1]:8000', clampMss: 1, interface: { group: 'x', mtu: 1 } });
  t.regex(text, /clampMss: 1 is not a boolean/);
  t.regex(text, /remote: 192\.0\.2\.1 is IPv4 but 2001:db8::1 is IPv6/);
  t.regex(text, /interface\.group: applies only to/);
  t.regex(text, /interface\.mtu: 1 is not an MTU/);
});
