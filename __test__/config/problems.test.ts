/** Problems of a file are reported with line, key and hint. */
import test from 'ava';
import { parseConfig } from '../../src/index.ts';
import { problemsOf, refusalOf } from './refusal.ts';

const tunnel = (name: string, port: number): string => `\
[tunnels.${name}]
device = "tun-${name}"
local = ":${port}"
remote = "192.0.2.9:8000"
`;

test('all problems are reported at once, in the order of the file', (t) => {
  const text = `\
[http]
port = 9750

[tunnels.office]
device = "tun0"
local  = "192.0.2.1"
remote = "gateway.example:8000"
allowed_sources = ["10.0.2.0/24"]

[tunnels.office.interface]
addresses = [
  "10.0.2.1/24",
  "10.0.3.1",
]
owner = "alice"
`;
  t.deepEqual(problemsOf(text), [
    "1: http.listen: is missing\n  give a string such as '127.0.0.1:9750'",
    '2: http.port: unknown option\n  the only option is listen',
    "6: tunnels.office.local: '192.0.2.1' has no port\n  write it as '192.0.2.1:8000'",
    '8: tunnels.office.allowed_sources: unknown option\n  did you mean allowedSources?',
    "13: tunnels.office.interface.addresses[1]: '10.0.3.1' has no prefix length, which determines its network\n  write it as '10.0.3.1/24'",
    '15: tunnels.office.interface.owner: applies only to a device that ttun creates\n  add create = true',
  ]);
});

const WRONG: readonly (readonly [what: string, text: string, problems: readonly string[]])[] = [
  ['no tunnel', '', ['null: tunnels: is missing\n  add tunnels.NAME with device, local and remote']],
  [
    'no tunnel among the tunnels',
    '[tunnels]',
    ['1: tunnels: no tunnel is defined\n  add tunnels.NAME with device, local and remote'],
  ],
  [
    'tunnels that are not a table',
    'tunnels = 3',
    ['1: tunnels: 3 is not a table\n  give a table of options'],
  ],
  [
    'tunnels in a list',
    '[[tunnels]]\ndevice = "tun0"',
    ['1: tunnels: a list is not a table\n  give a table of options'],
  ],
  [
    'a tunnel that is not a table',
    '[tunnels]\noffice = "tun0"',
    ['2: tunnels.office: "tun0" is not a table\n  give a table of options'],
  ],
  [
    'a table with another name',
    `[http]\nlisten = ":1"\n${tunnel('a', 1)}\n[tunnel.b]`,
    ['8: tunnel: unknown option\n  did you mean tunnels?'],
  ],
  [
    'a tunnel at the top',
    `${tunnel('a', 1)}[office]\ndevice = "tun0"`,
    ['5: office: unknown option\n  move it under tunnels: tunnels.office'],
  ],
  [
    'a name that a shell would split',
    tunnel('"my office"', 1).replace('tun-"my office"', 'tun0'),
    [
      '1: tunnels."my office": is not a valid tunnel name\n  use letters, digits and . _ - as in [tunnels.office]',
    ],
  ],
  [
    'an empty name',
    tunnel('""', 1).replace('tun-""', 'tun0'),
    ['1: tunnels."": is not a valid tunnel name\n  use letters, digits and . _ - as in [tunnels.office]'],
  ],
  [
    'a name of 65 characters',
    tunnel('a'.repeat(65), 1).replace(/tun-a+/, 'tun0'),
    [
      `1: tunnels.${'a'.repeat(65)}: the name of a tunnel is longer than 64 characters\n  use letters, digits and . _ - as in [tunnels.office]`,
    ],
  ],
  [
    'two tunnels on one device',
    `${tunnel('a', 1)}${tunnel('b', 2).replace('tun-b', 'tun-a')}`,
    ["6: tunnels.b.device: 'tun-a' is already used by tunnels.a (line 2)\n  give each tunnel its own device"],
  ],
  [
    'two tunnels on one port of all addresses',
    `${tunnel('a', 1)}${tunnel('b', 1)}`,
    [
      '7: tunnels.b.local: port 1 of all addresses is already used by tunnels.a (line 3)\n  give each tunnel its own port',
    ],
  ],
  [
    'two tunnels on one address and port',
    `${tunnel('a', 1)}${tunnel('b', 1)}`.replaceAll('":1"', '"192.0.2.1:1"'),
    [
      '7: tunnels.b.local: port 1 of 192.0.2.1 is already used by tunnels.a (line 3)\n  give each tunnel its own port',
    ],
  ],
  [
    'a port of all addresses and of one',
    `${tunnel('a', 1)}${tunnel('b', 1).replace('":1"', '"192.0.2.1:1"')}`,
    [
      '7: tunnels.b.local: port 1 of 192.0.2.1 is already used by tunnels.a (line 3), at all addresses\n  give each tunnel its own port',
    ],
  ],
  [
    'a device that is shared by a tunnel in which something else is wrong',
    `${tunnel('a', 1)}mtu = 3\n${tunnel('b', 2).replace('tun-b', 'tun-a')}`,
    [
      '5: tunnels.a.mtu: unknown option\n  did you mean interface.mtu?',
      "7: tunnels.b.device: 'tun-a' is already used by tunnels.a (line 2)\n  give each tunnel its own device",
    ],
  ],
  [
    'an invalid address for HTTP',
    `${tunnel('a', 1)}[http]\nlisten = "localhost"`,
    ["6: http.listen: 'localhost' is not a TCP port\n  give a number up to 65535, as in 127.0.0.1:9750"],
  ],
  [
    'a date',
    `${tunnel('a', 1)}fwmark = 2026-11-22`,
    ['5: tunnels.a.fwmark: a date is not a number\n  give a number such as 119'],
  ],
  [
    'a number that is not a number',
    `${tunnel('a', 1)}fwmark = nan`,
    ['5: tunnels.a.fwmark: NaN is not a number\n  give a number such as 119'],
  ],
];

for (const [what, text, problems] of WRONG) {
  test(`${what} is refused, with a hint`, (t) => {
    t.deepEqual(problemsOf(text), problems);
  });
}

test('tunnels may share a port if they differ in family, address or interface', (t) => {
  const bound = (name: string): string => `${tunnel(name, 1)}bindDevice = "eth-${name}"\n`;
  const v6 = tunnel('b', 1).replace('192.0.2.9', '[2001:db8::9]');
  const at = (name: string, address: string): string => tunnel(name, 1).replace('":1"', `"${address}:1"`);
  for (const text of [
    bound('a') + bound('b'),
    tunnel('a', 1) + v6,
    at('a', '192.0.2.1') + at('b', '192.0.2.2'),
  ]) {
    t.is(parseConfig(text, { format: 'toml' }).tunnels.size, 2);
  }
  const byName = tunnel('b', 1).replace('192.0.2.9', 'gateway.example');
  t.is(
    problemsOf(v6.replaceAll('b]', 'c]').replace('tun-b', 'tun-c') + byName).length,
    1,
    'a name may be either',
  );
});

test('interfaces of link-local addresses are distinguished, but need not exist', (t) => {
  const text = (tunnel('a', 1) + tunnel('b', 1)).replaceAll('192.0.2.9', '[fe80::2%nowhere]');
  const here = text.replace('":1"', '"[fe80::1%nowhere]:1"');
  const apart = here.replace('":1"', '"[fe80::1%elsewhere]:1"');
  t.is(parseConfig(apart, { format: 'toml' }).tunnels.size, 2);
  t.is(problemsOf(here.replace('":1"', '"[fe80::1%nowhere]:1"')).length, 1);
});

const WARNINGS: readonly (readonly [what: string, text: string, warning: string])[] = [
  [
    'a route that covers the peer',
    `${tunnel('a', 1)}interface.routes = ["192.0.2.0/24"]`,
    "5: tunnels.a.interface.routes[0]: the peer 192.0.2.9:8000 is in 192.0.2.0/24, so the tunnel's own datagrams may be routed into the tunnel",
  ],
  [
    "the network of the tunnel's own address covers the peer",
    `${tunnel('a', 1)}interface.addresses = ["192.0.2.1/24"]`,
    "5: tunnels.a.interface.addresses[0]: the peer 192.0.2.9:8000 is in 192.0.2.1/24, so the tunnel's own datagrams may be routed into the tunnel",
  ],
  [
    'two tunnels that are routed into each other',
    `${tunnel('a', 1)}interface.routes = ["192.0.2.8/32"]\n${tunnel('b', 2).replace('2.9', '2.8')}interface.routes = ["192.0.2.9/32"]`,
    '10: tunnels.b.interface.routes[0]: tunnels a and b are routed into each other: the peer of a is reached through b (192.0.2.9/32) and the peer of b is reached through a (192.0.2.8/32)',
  ],
  [
    'two such tunnels over IPv6, one by the network of its address',
    `${tunnel('a', 1).replace('192.0.2.9', '[2001:db8:1::9]')}interface.routes = ["2001:db8:2::/64"]\n${tunnel('b', 2).replace('192.0.2.9', '[2001:db8:2::9]')}interface.addresses = ["2001:db8:1::1/64"]`,
    '10: tunnels.b.interface.addresses[0]: tunnels a and b are routed into each other: the peer of a is reached through b (2001:db8:1::1/64) and the peer of b is reached through a (2001:db8:2::/64)',
  ],
  [
    'two such tunnels, one by its bindDevice',
    `${tunnel('a', 1)}bindDevice = "tun-b"\n${tunnel('b', 2).replace('2.9', '2.8')}[tunnels.a.interface]\nroutes = ["192.0.2.8/32"]`,
    '5: tunnels.a.bindDevice: tunnels a and b are routed into each other: a is bound to the device of b and the peer of b is reached through a (192.0.2.8/32)',
  ],
  [
    'three tunnels in a ring, to which a fourth leads',
    ['a', 'b', 'c', 'd']
      .map(
        (name, index) =>
          `${tunnel(name, index + 1).replace('2.9', `2.${index + 1}`)}interface.routes = ["192.0.2.${[3, 1, 2][index] ?? 200}/32"]`,
      )
      .join('\n'),
    '15: tunnels.c.interface.routes[0]: tunnels a, b and c are routed into each other: the peer of a is reached through b (192.0.2.1/32), the peer of b is reached through c (192.0.2.2/32) and the peer of c is reached through a (192.0.2.3/32)',
  ],
  [
    'one network in two tunnels',
    `${tunnel('a', 1)}interface.addresses = ["10.0.2.1/24"]\n${tunnel('b', 2)}interface.addresses = ["10.0.2.9/16"]`,
    '10: tunnels.b.interface.addresses[0]: 10.0.2.9/16 is in the same network as 10.0.2.1/24 of tunnels.a (line 5)',
  ],
  [
    'one route in two tunnels',
    `${tunnel('a', 1)}interface.routes = ["10.0.2.0/24"]\n${tunnel('b', 2)}interface.routes = ["10.0.2.0/24"]`,
    '10: tunnels.b.interface.routes[0]: 10.0.2.0/24 is already routed into tunnels.a (line 5)',
  ],
  [
    'the address of a network',
    `${tunnel('a', 1)}interface.addresses = ["10.0.2.0/24"]`,
    '5: tunnels.a.interface.addresses[0]: 10.0.2.0/24 is a network, not an address in it',
  ],
];

for (const [what, text, warning] of WARNINGS) {
  test(`${what} is a warning`, (t) => {
    const { warnings } = parseConfig(text, { format: 'toml' });
    t.deepEqual(
      warnings.map(({ line, path, message }) => `${line}: ${path}: ${message}`),
      [warning],
    );
  });
}

test('common configurations give no warning', (t) => {
  const text = `
${tunnel('a', 1)}
bindDevice = "eth0"
[tunnels.a.interface]
addresses = ["10.0.2.1/24", "fe80::1/64", "10.0.9.0/31", "10.0.8.0/32"]
routes = ["0.0.0.0/0"]
${tunnel('b', 2)}
[tunnels.b.interface]
addresses = ["10.0.3.1/24", "fe80::1/64"]
`;
  t.deepEqual(parseConfig(text, { format: 'toml' }).warnings, []);
});

test('the message of the error has every problem in the format that editors understand', (t) => {
  const error = refusalOf('tunnels = 1\nx = 2');
  t.is(error.code, 'ERR_TTUN_INVALID_CONFIG');
  t.is(
    error.message,
    `2 problems in the configuration:
1:1: tunnels: 1 is not a table
    give a table of options
2:1: x: unknown option
    the options are $schema, http, tunnels`,
  );
});

test('control characters of a file do not reach the terminal', (t) => {
  const text =
    '["\\u001b]0;"]\n[tunnels.a]\ndevice = "\\u001b[2Jtun\\u202e"\nlocal = ":1\\n"\nremote = "b\\u0007:2"';
  const problems = problemsOf(text);
  t.is(problems.length, 4);
  for (const problem of problems) t.notRegex(problem.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
  t.true(problems[0]?.startsWith(String.raw`1: "\u001b]0;": unknown option`));
});

test('long values are shortened', (t) => {
  for (const text of [`x${'y'.repeat(100_000)} = 1`, `tunnels = "${'y'.repeat(100_000)}"`]) {
    for (const problem of problemsOf(text)) t.true(problem.length < 1000);
  }
});

/** Each compared with all others would take minutes. */
test('tens of thousands of mistakes are reported in linear time', (t) => {
  const text = Array.from({ length: 50_000 }, (_, index) => `a${index} = 1`).join('\n');
  t.is(refusalOf(`[tunnels]\n${text}`).problems.length, 50_000);
});
