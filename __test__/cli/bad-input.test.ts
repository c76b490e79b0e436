import test from 'ava';
import type { RunResult } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';

const ARGUMENTS = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'] as const;
const [DEVICE, LOCAL, PORT, REMOTE] = ARGUMENTS;
/** The user nobody, who owns only what the tests give them. */
const USER = '65534';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
  await sites.a.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap');
  await sites.a.ip('tuntap', 'add', 'dev', 'mine', 'mode', 'tun', 'user', USER);
  await sites.a.ip('tuntap', 'add', 'dev', 'theirs', 'mode', 'tun', 'user', '65533');
});
test.after.always(() => sites[Symbol.asyncDispose]());

function ttun(...args: string[]): Promise<RunResult> {
  return sites.a.runToEnd([process.execPath, BIN, ...args]);
}

/** The state of `/dev/net/tun`, as the program sees it. */
type TunNode = 'as usual' | 'closed to users' | 'missing';

const MAKE_TUN_NODE: Readonly<Record<TunNode, string>> = {
  'as usual': 'mknod -m 0666 /dev/net/tun c 10 200',
  'closed to users': 'mknod -m 0600 /dev/net/tun c 10 200',
  missing: 'true',
};

/**
 * Wraps a command so that it runs as that user. It may read any file, as the user may have no access to the checkout; that does not
 * allow it to open a device for writing.
 */
function asUser(command: readonly string[], node: TunNode = 'as usual'): string[] {
  const prepare = `mount -t tmpfs none /dev/net && ${MAKE_TUN_NODE[node]} && exec "$@"`;
  const readAll = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  const become = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', ...readAll];
  return ['unshare', '--mount', 'sh', '-ec', prepare, 'sh', ...become, ...command];
}

function ttunAsUser(args: readonly string[], node?: TunNode): Promise<RunResult> {
  return sites.a.runToEnd(asUser([process.execPath, BIN, ...args], node));
}

/** Each answer is one line that says what is wrong and how to correct it. */
const REFUSED: readonly (readonly [what: string, args: readonly string[], status: number, line: RegExp])[] = [
  [
    'a missing argument',
    ARGUMENTS.slice(0, 4),
    2,
    /^ttun: <remote-port> is missing; usage: ttun tun0 10\.0\.1\.1 9000 10\.0\.1\.2 <remote-port> \(see ttun --help\)$/,
  ],
  ['no argument', [], 2, /^ttun: no arguments given; usage: ttun <tun> .* \(see ttun --help\)$/],
  [
    'an invalid address',
    [DEVICE, '10.0.1', PORT, REMOTE, PORT],
    2,
    /^ttun: <local-ip>: '10\.0\.1' is not an IPv4 address; write four numbers/,
  ],
  [
    'a peer to be learned from anywhere',
    [DEVICE, LOCAL, PORT, 'learn'],
    2,
    /^ttun: <remote-ip>: without peers, anyone .*; add the networks .*: --peers 203\.0\.113\.0\/24 /,
  ],
  [
    'a peer that is given and learned',
    ['--peers', '203.0.113.0/24', ...ARGUMENTS],
    2,
    /^ttun: --peers: applies only if the peer is learned; give learn in place of .*, or omit --peers /,
  ],
  [
    'a port of a peer to be learned',
    ['--peers', '203.0.113.0/24', DEVICE, LOCAL, PORT, 'learn', PORT],
    2,
    /^ttun: unexpected argument '9000'; usage: ttun --peers <networks> <tun> <local-ip> <local-port> learn /,
  ],
  [
    'a local address of a group where a peer is learned',
    ['--peers', '203.0.113.0/24', DEVICE, '224.0.0.1', PORT, 'learn'],
    2,
    /^ttun: <local-ip>: 224\.0\.0\.1 is a multicast address; give the address of one host /,
  ],
  [
    'a name to learn a peer from',
    ['--peers=home.example', DEVICE, LOCAL, PORT, 'learn'],
    2,
    /^ttun: --peers: 'home\.example' is not a numeric IP address, .*; find its address with: getent hosts /,
  ],
  [
    'networks of both families',
    ['--peers', '203.0.113.0/24,2001:db8::/32', DEVICE, LOCAL, PORT, 'learn'],
    2,
    /^ttun: --peers: 203\.0\.113\.0 is IPv4 but 2001:db8:: is IPv6; give networks of one family/,
  ],
  [
    'a peer whose address is not known',
    [DEVICE, LOCAL, PORT, '0.0.0.0', '0'],
    2,
    /^ttun: '0\.0\.0\.0 0' is not the address and port of one host; .* as behind a NAT: ttun --peers <networks> <tun> .* learn /,
  ],
  [
    'a peer whose port is not known',
    [DEVICE, LOCAL, PORT, REMOTE, '0'],
    2,
    /^ttun: '\S+ 0' is not the address and port of one host; .* as behind a NAT: ttun --peers /,
  ],
  [
    'a port out of range',
    [DEVICE, LOCAL, PORT, REMOTE, '70000'],
    2,
    /^ttun: <remote-port>: '70000' is not a UDP port; give a number from 1 to 65535 /,
  ],
  [
    'mixed address families',
    [DEVICE, LOCAL, PORT, 'fd00:1::2', PORT],
    2,
    /^ttun: <remote-ip>: 10\.0\.1\.1 is IPv4 but fd00:1::2 is IPv6; give two IPv4 or two IPv6 addresses /,
  ],
  [
    'a tunnel to itself',
    [DEVICE, LOCAL, PORT, LOCAL, PORT],
    2,
    /^ttun: <remote-ip>: the local and the remote end are both 10\.0\.1\.1:9000; /,
  ],
  [
    'a device name that is too long',
    ['a-very-long-name', ...ARGUMENTS.slice(1)],
    2,
    /^ttun: <tun>: 'a-very-long-name' is longer than 15 bytes, /,
  ],
  ['an unknown option', ['--fast', ...ARGUMENTS], 2, /^ttun: there is no option --fast \(see ttun --help\)$/],
  [
    'a missing device',
    ['tun9', ...ARGUMENTS.slice(1)],
    1,
    /^ttun: there is no device tun9; .*ip tuntap add dev tun9 mode tun$/,
  ],
  [
    'a TAP device',
    ['tap0', ...ARGUMENTS.slice(1)],
    1,
    /^ttun: tap0 is a TAP device.*; .*ip tuntap add dev tap0 mode tun$/,
  ],
  [
    'a device that is not a TUN device',
    ['veth0', ...ARGUMENTS.slice(1)],
    1,
    /^ttun: veth0 is not a TUN device; /,
  ],
  [
    'an address of another host',
    [DEVICE, '10.0.1.77', PORT, REMOTE, PORT],
    1,
    /^ttun: 10\.0\.1\.77 is not an address of this host; .*ip /,
  ],
  [
    'a peer without a route',
    [DEVICE, LOCAL, PORT, '192.0.2.1', PORT],
    1,
    /^ttun: there is no route to 192\.0\.2\.1; .*ip route get 192\.0\.2\.1$/,
  ],
];

for (const [what, args, status, line] of REFUSED) {
  test(`${what} gives one line and exit code ${status}`, async (t) => {
    const result = await ttun(...args);
    t.is(result.status, status);
    t.is(result.stdout, '');
    t.regex(result.stderr, /^[^\n]+\n$/);
    t.regex(result.stderr.trimEnd(), line);
  });
}

function assertRefused(
  t: { regex: (text: string, pattern: RegExp) => void; is: (a: unknown, b: unknown) => void },
  result: RunResult,
  line: RegExp,
): void {
  t.is(result.status, 1);
  t.regex(result.stderr, /^[^\n]+\n$/);
  t.regex(result.stderr, line);
}

test.serial('a busy device and a port in use are reported', async (t) => {
  await using first = startTtun(sites.a, ARGUMENTS);
  await first.waitForLine('attached to tun0');
  assertRefused(
    t,
    await ttun(DEVICE, LOCAL, '9001', REMOTE, PORT),
    /^ttun: another process is attached to tun0; /,
  );
  assertRefused(
    t,
    await ttun('mine', LOCAL, PORT, REMOTE, PORT),
    /^ttun: UDP port 9000 is in use on 10\.0\.1\.1; .*ss /,
  );
});

test.serial('the device is free after each failure', async (t) => {
  await ttun(DEVICE, '10.0.1.77', PORT, REMOTE, PORT);
  await using tunnel = startTtun(sites.a, ARGUMENTS);
  await t.notThrowsAsync(tunnel.waitForLine('attached to tun0'));
});

test.serial("an ordinary user may use their own device, but not another user's", async (t) => {
  await using tunnel = sites.a.start(asUser([process.execPath, BIN, 'mine', ...ARGUMENTS.slice(1)]));
  await tunnel.waitForLine('attached to mine');
  const refused = await ttunAsUser(['theirs', LOCAL, '9001', REMOTE, PORT]);
  assertRefused(t, refused, /^ttun: theirs belongs to .*; /);
  t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
});

test('a port that only root may bind is reported', async (t) => {
  assertRefused(
    t,
    await ttunAsUser(['mine', LOCAL, '80', REMOTE, PORT]),
    /^ttun: this user may not use UDP port 80; /,
  );
});

test('a /dev/net/tun that this user may not open is reported', async (t) => {
  const result = await ttunAsUser(['mine', ...ARGUMENTS.slice(1)], 'closed to users');
  assertRefused(t, result, /^ttun: this user may not open \/dev\/net\/tun; /);
});

test('a missing /dev/net/tun is reported', async (t) => {
  const result = await ttunAsUser(['mine', ...ARGUMENTS.slice(1)], 'missing');
  assertRefused(t, result, /^ttun: this system has no \/dev\/net\/tun; .*modprobe tun/);
});
