import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { BackgroundProcess, Command } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';

/** The program without Node: that of the packages where `npm run test:packages` says so, else the one that `npm test` builds. */
const PROGRAM =
  process.env['TTUN_STATIC_PROGRAM'] ?? fileURLToPath(new URL('../../target/debug/ttun', import.meta.url));
const NODE_PROGRAM = [process.execPath, BIN];
const MEBIBYTE = 1 << 20;

let sites: Sites;
test.before(async () => {
  sites = await createSites({ tunMtu: 1500 });
});
test.after.always(() => sites[Symbol.asyncDispose]());

const AT_A = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];
const AT_B = ['tun0', '10.0.1.2', '9000', '10.0.1.1', '9000'];

async function started(process: BackgroundProcess): Promise<BackgroundProcess> {
  await process.waitForLine('ip link set tun0 mtu');
  return process;
}

/** The longest packet that fits the path between the sites, bytes. */
const FULL = 1472;

/**
 * What is said, without what differs from run to run. Copies of full packets that try the path MTU are added to what was sent, as the
 * other end receives them.
 */
function comparable(lines: readonly string[]): string[] {
  const [, trials = '0'] = /sent twice to learn the path MTU: (\d+)/.exec(lines.join('\n')) ?? [];
  return lines
    .filter((line) => !line.includes('sent twice'))
    .map((line) =>
      line
        .replace(/after [\d.]+ s/, 'after some time')
        .replace(
          /sent: ([\d,]+) packets, ([\d,]+) bytes/,
          (_, packets: string, bytes: string) =>
            `sent: ${added(packets, Number(trials))} packets, ${added(bytes, FULL * Number(trials))} bytes`,
        ),
    );
}

function added(count: string, more: number): string {
  return (Number(count.replaceAll(',', '')) + more).toLocaleString('en');
}

test.serial(
  'it carries packets to the Node program, prints the same messages, and counts the same',
  async (t) => {
    await using there = await started(startTtun(sites.b, ['-q', ...AT_B]));
    await using here = await started(sites.a.start([PROGRAM, '-q', ...AT_A]));
    t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 20 })).received >= 20);
    for (const [from, to] of [
      [sites.a, sites.b],
      [sites.b, sites.a],
    ] as const) {
      const bytes = 16 * MEBIBYTE;
      const { sent, received } = await transferTcp({ from, to, address: to.inner.ipv4, bytes });
      t.deepEqual(received, sent);
    }
    t.true((await ping(sites.b, sites.a.inner.ipv6, { count: 20 })).received >= 20);
    for (const program of [here, there]) t.deepEqual(await program.stop(), { status: 0, signal: null });

    const [own, others] = [here, there].map(({ lines }) => comparable(lines));
    const turned = others?.map((line) =>
      line
        .replace('10.0.1.2:9000 -> 10.0.1.1:9000', '10.0.1.1:9000 -> 10.0.1.2:9000')
        .replace(/ttun: (sent|received):/, (_, way) => `ttun: ${way === 'sent' ? 'received' : 'sent'}:`),
    );
    t.deepEqual(own?.toSorted(), turned?.toSorted());
  },
);

test.serial('it reports the same errors as the Node program', async (t) => {
  const site = sites.a;
  await site.ipBatch('tuntap add dev tap0 mode tap');
  t.teardown(() => site.ip('link', 'delete', 'tap0'));
  await using inTheWay = await started(site.start([...NODE_PROGRAM, '-q', ...AT_A]));
  for (const args of [
    ['no-such', '10.0.1.1', '9001', '10.0.1.2', '9000'],
    ['tap0', '10.0.1.1', '9001', '10.0.1.2', '9000'],
    ['veth0', '10.0.1.1', '9001', '10.0.1.2', '9000'],
    ['tun0', '10.0.1.1', '9001', '10.0.1.2', '9000'],
    ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'],
    ['tun0', '10.9.9.9', '9001', '10.0.1.2', '9000'],
  ]) {
    const [own, others] = await Promise.all(
      [[PROGRAM], NODE_PROGRAM].map((program) => site.runToEnd([...program, ...args])),
    );
    t.is(own?.status, 1, args.join(' '));
    t.is(own?.stderr, others?.stderr, args.join(' '));
    t.is(own?.stderr.split('\n').length, 2, 'one line');
  }
  t.true(inTheWay.running);
});

for (const [what, args, said] of [
  ['an argument is missing', ['tun0', '10.0.1.1', '9000', '10.0.1.2'], /expected five arguments, not 4/],
  ['a port is none', ['tun0', '10.0.1.1', '0', '10.0.1.2', '9'], /<local-port>: '0' is not a UDP port; give/],
  ['an address is none', ['tun0', '10.0.1.1', '9', 'host', '9'], /<remote-ip>: 'host' is not an IP address/],
  [
    'families differ',
    ['tun0', '10.0.1.1', '9', 'fd00::1', '9'],
    /belong to different address families; give/,
  ],
  ['the peer is no host', ['tun0', '10.0.1.1', '9', '0.0.0.0', '9'], /0\.0\.0\.0:9 cannot be the peer; give/],
  ['the peer is itself', ['tun0', '10.0.1.1', '9', '10.0.1.1', '9'], /cannot be the peer; give/],
  ['a name is too long', ['a-name-too-long-for-it', '10.0.1.1', '9', '10.0.1.2', '9'], /use 1 to 15 bytes/],
  ['peers are missing', ['tun0', '10.0.1.1', '9', 'learn'], /without peers, anyone .* --peers 203/],
  [
    'nothing is learned',
    ['--peers', '10.0.1.0/24', ...AT_A],
    /--peers: applies only if the peer is learned; give/,
  ],
  ['peers are none', ['--peers', 'host', 'tun0', '10.0.1.1', '9', 'learn'], /'host' is not a network; write/],
  [
    'peers are of the other family',
    ['--peers', 'fd00::/8', 'tun0', '10.0.1.1', '9', 'learn'],
    /another address family than the networks of the peer; give/,
  ],
  ['there is no such option', ['--fast'], /there is no option --fast/],
  ['an address to probe is missing', ['--probe'], /--probe needs a value: --probe <address>/],
  ['an address to probe is none', ['--probe=host'], /--probe: 'host' is not an IP address; write/],
  [
    'an address to probe is no host',
    ['--probe', '0.0.0.0', ...AT_A],
    /0\.0\.0\.0 is not the address of one host/,
  ],
  ['a rate is missing', ['--rate'], /--rate needs a value: --rate <rate>/],
  ['a rate is none', ['--rate=fast', ...AT_A], /--rate: 'fast' is not a rate; give a rate from 64 kbit\/s/],
  ['a polling time is missing', ['--busy-poll'], /--busy-poll needs a value: --busy-poll <time>/],
  [
    'a polling time is none',
    ['--busy-poll=fast', ...AT_A],
    /--busy-poll: 'fast' is not a duration; give a time from 1us to 1ms/,
  ],
  ['a rate is too high', ['--rate', '10 Tbit/s', ...AT_A], /--rate: 10 Tbit\/s is too high a rate; give/],
] as const) {
  test.serial(`where ${what}, it reports that in one line, with exit code 2`, async (t) => {
    const { status, stdout, stderr } = await sites.a.runToEnd([PROGRAM, ...args]);
    t.is(status, 2);
    t.is(stdout, '');
    t.regex(stderr, /^ttun: .*\n$/);
    t.regex(stderr, said);
  });
}

test.serial('it learns its peer, as the Node program does', async (t) => {
  for (const program of [[PROGRAM], NODE_PROGRAM]) {
    await using here = sites.a.start([
      ...program,
      '--peers',
      '10.0.1.0/24',
      '-q',
      ...AT_A.slice(0, 3),
      'learn',
    ]);
    await here.waitForLine('socket 10.0.1.1:9000, no peer yet');
    await using there = await started(startTtun(sites.b, ['-q', ...AT_B]));
    t.true((await ping(sites.b, sites.a.inner.ipv4, { count: 5 })).received >= 5);
    t.true((await ping(sites.a, sites.b.inner.ipv6, { count: 5 })).received >= 5);
    await here.waitForLine('the peer is 10.0.1.2:9000, which has sent the first packet');
    for (const end of [here, there]) t.deepEqual(await end.stop(), { status: 0, signal: null });
    t.regex(here.stderr, /^ttun: peer changed: 1 time$/m);
  }
});

test.serial(
  'it prints packets as they pass, at most a few per second, with a count of the rest',
  async (t) => {
    await using there = await started(startTtun(sites.b, ['-q', ...AT_B]));
    await using here = await started(
      sites.a.start([PROGRAM, '--probe', '10.0.2.2', '--rate', '1 Gbit/s', ...AT_A]),
    );
    await ping(sites.a, sites.b.inner.ipv4, { count: 500, flood: true });
    await ping(sites.a, sites.b.inner.ipv6);
    for (const program of [here, there]) await program.stop('SIGINT');
    const printed = here.stdout.split('\n').filter(Boolean);
    t.true(printed.includes('Out IP 10.0.2.1 > 10.0.2.2: protocol 1, length 84'), here.stdout);
    for (const line of printed) t.regex(line, /^(?:Out|In ) IP6? \S+ > \S+: protocol \d+, length \d+$/);
    t.regex(here.stderr, /^ttun: [\d,]+ more packets$/m);
    t.regex(
      here.stderr,
      /^ttun: probe of 10\.0\.2\.2: [1-9]\d* sent, [1-9]\d* answered, 0 lost; round trip /m,
    );
    t.true(printed.length < 500);
  },
);

test.serial('if standard output is closed, the tunnel continues', async (t) => {
  await using there = await started(startTtun(sites.b, ['-q', ...AT_B]));
  await using here = await started(sites.a.start(withoutReader([PROGRAM, ...AT_A])));
  // The first may be written while the reader is still there.
  await ping(sites.a, sites.b.inner.ipv4, { count: 20, intervalMs: 100 });
  await here.waitForLine('standard output was closed');
  t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 5 })).received >= 5);
  t.deepEqual(await here.stop(), { status: 0, signal: null });
  await there.stop();
});

/** Its standard output is a pipe whose other end is closed. */
function withoutReader(command: Command): Command {
  return ['bash', '-c', 'exec 3> >(exec true); wait $!; exec "$@" >&3', 'bash', ...command];
}

test.serial('a deleted device ends it, with one line', async (t) => {
  const site: Site = sites.a;
  await site.ipBatch('tuntap add dev tun7 mode tun', 'link set tun7 up');
  await using here = site.start([PROGRAM, '-q', 'tun7', '10.0.1.1', '9007', '10.0.1.2', '9007']);
  await here.waitForLine('attached to tun7');
  await site.ip('link', 'delete', 'tun7');
  t.deepEqual(await here.exited, { status: 1, signal: null });
  t.regex(here.stderr, /tun7 .*(?:deleted|gone)/);
});

test('--version says that it needs no Node, and --help shows the usage', async (t) => {
  t.regex(
    (await sites.a.run([PROGRAM, '--version'])).stdout,
    /^ttun \d+\.\d+\.\d+, without Node, \w+-unknown-linux-\w+\n$/,
  );
  t.regex(
    (await sites.a.run([PROGRAM, '--help'])).stdout,
    /^Usage: ttun \[-q\] \[--probe <address>\] \[--rate <rate>\] \[--busy-poll <time>\]\s+<tun> <local-ip>/,
  );
});
