import { once } from 'node:events';
import test from 'ava';
import { run, runToEnd } from '../../testbed/exec.ts';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

const AT_A = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];
const AT_B = ['tun0', '10.0.1.2', '9000', '10.0.1.1', '9000'];
const PACKET_LINE = /^\d\d:\d\d:\d\d\.\d{6} (?:Out|In ) IP6? /;

let sites: Sites;
test.before(async () => {
  // The default MTU of devices.
  sites = await createSites({ tunMtu: 1500 });
});
test.after.always(() => sites[Symbol.asyncDispose]());

/** Both ends of a tunnel; tests look at the output of the one in site A. */
class Pair implements AsyncDisposable {
  readonly a: BackgroundProcess;
  readonly #b: BackgroundProcess;

  constructor(a: BackgroundProcess, b: BackgroundProcess) {
    this.a = a;
    this.#b = b;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a[Symbol.asyncDispose](), this.#b[Symbol.asyncDispose]()]);
  }
}

async function startPair(...options: string[]): Promise<Pair> {
  const b = startTtun(sites.b, ['-q', ...AT_B]);
  await b.waitForLine('attached to tun0');
  const a = startTtun(sites.a, [...options, ...AT_A]);
  await a.waitForLine(options.includes('--json') ? '"attached"' : 'ip link set tun0 mtu');
  return new Pair(a, b);
}

async function ping(count: number, ...options: string[]): Promise<void> {
  const { stdout } = await sites.a.run(['ping', '-c', `${count}`, ...options, sites.b.inner.ipv4], {
    timeoutMs: 30_000,
  });
  if (!stdout.includes(' 0% packet loss')) throw new Error(stdout);
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

/** Packets in both directions, according to the summary. */
function packetsCarried(stderr: string): number {
  const [out, back] = ['sent', 'received'].map(
    (way) => new RegExp(`^ttun: ${way}: ([\\d,]+) packets`, 'm').exec(stderr)?.[1],
  );
  return toNumber(out) + toNumber(back);
}

/** Packets that were reported as not printed. */
function packetsLeftOut(stderr: string): number {
  const counts = [...stderr.matchAll(/^ttun: ([\d,]+) (?:more packets|packets arrived too fast)/gm)];
  return counts.reduce((sum, [, count]) => sum + toNumber(count), 0);
}

function toNumber(grouped = ''): number {
  return Number(grouped.replaceAll(',', ''));
}

test.serial(
  'it reports its device, socket and a better MTU, prints a ping, and a summary on Ctrl-C',
  async (t) => {
    await using pair = await startPair();
    const { a } = pair;
    await ping(1);
    await a.waitForLine('ICMP echo reply');

    t.deepEqual(await a.stop('SIGINT'), { status: 0, signal: null });
    const [request, reply, ...others] = linesOf(a.stdout);
    t.regex(
      request ?? '',
      /^\d\d:\d\d:\d\d\.\d{6} Out IP 10\.0\.2\.1 > 10\.0\.2\.2: ICMP echo request, id \d+, seq 1, length 64$/,
    );
    t.regex(
      reply ?? '',
      /^\d\d:\d\d:\d\d\.\d{6} In {2}IP 10\.0\.2\.2 > 10\.0\.2\.1: ICMP echo reply, id \d+, seq 1, length 64$/,
    );
    t.deepEqual(others, []);
    const [attached, advice, closed, ...rest] = linesOf(a.stderr);
    t.regex(
      attached ?? '',
      /^ttun: attached to tun0 \(mtu 1500, offload: .+\), socket 10\.0\.1\.1:9000 -> 10\.0\.1\.2:9000 \(offload: .+\)$/,
    );
    t.is(
      advice,
      'ttun: packets of more than 1472 bytes are sent in fragments; to avoid that: ip link set tun0 mtu 1472',
    );
    t.regex(closed ?? '', /^ttun: tun0 closed after \d+\.\d s$/);
    t.deepEqual(rest, [
      'ttun: sent: 1 packet, 84 bytes, none dropped',
      'ttun: received: 1 packet, 84 bytes, none dropped',
    ]);
  },
);

for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
  test.serial(`${signal} ends it like Ctrl-C`, async (t) => {
    await using tunnel = startTtun(sites.a, AT_A);
    await tunnel.waitForLine('attached to tun0');
    t.deepEqual(await tunnel.stop(signal), { status: 0, signal: null });
    t.regex(tunnel.stderr, /^ttun: tun0 closed after/m);
  });
}

test.serial('at most ten packets a second are printed, and the others are counted', async (t) => {
  await using pair = await startPair();
  const { a } = pair;
  const begin = performance.now();
  await ping(3000, '-f');
  const seconds = Math.ceil((performance.now() - begin) / 1000);
  await a.waitForLine(/\d more packets \(-v prints all\)$/);
  await a.stop('SIGINT');

  const printed = linesOf(a.stdout);
  t.true(printed.every((line) => PACKET_LINE.test(line)));
  t.true(printed.length <= 10 * (seconds + 1), `${printed.length} lines in ${seconds} s`);
  t.is(packetsCarried(a.stderr), 6000);
  t.is(printed.length + packetsLeftOut(a.stderr), 6000);
});

test.serial('-v prints every packet, and counts those that pass too fast', async (t) => {
  await using pair = await startPair('-v');
  const { a } = pair;
  await ping(100, '-i', '0.002');
  await a.waitForLine(/echo reply, id \d+, seq 100,/);
  await a.stop('SIGINT');

  const printed = linesOf(a.stdout);
  t.true(printed.every((line) => PACKET_LINE.test(line)));
  t.is(packetsCarried(a.stderr), 200);
  t.is(printed.length + packetsLeftOut(a.stderr), 200);
});

test.serial('-q prints no packets', async (t) => {
  await using pair = await startPair('-q');
  const { a } = pair;
  await ping(5, '-i', '0.01');
  await a.stop('SIGINT');
  t.is(a.stdout, '');
  t.is(packetsCarried(a.stderr), 10);
});

test.serial('--json prints the opening and the end on standard output', async (t) => {
  await using pair = await startPair('--json');
  const { a } = pair;
  await ping(2, '-i', '0.01');
  await a.stop('SIGINT');
  const events = linesOf(a.stdout).map((line): unknown => JSON.parse(line));
  t.is(events.length, 2);
  t.like(events[0], { event: 'attached', stats: { state: 'waiting', device: { name: 'tun0', mtu: 1500 } } });
  t.like(events[1], {
    event: 'closed',
    stats: { state: 'closed', encap: { packets: 2 }, decap: { packets: 2 } },
  });
});

for (const option of ['--json', '-v']) {
  test.serial(
    `with ${option}, a full disk under standard output is reported, and is not a failure`,
    async (t) => {
      await using b = startTtun(sites.b, ['-q', ...AT_B]);
      await b.waitForLine('attached to tun0');
      const command = ['sh', '-c', 'exec "$0" "$@" >/dev/full', process.execPath, BIN, option, ...AT_A];
      await using a = sites.a.start(command);
      await a.waitForLine('attached to tun0');
      await ping(3, '-i', '0.01');
      await a.waitForLine('cannot write to standard output: ENOSPC');
      await ping(3, '-i', '0.01');
      t.deepEqual(await a.stop('SIGINT'), { status: 0, signal: null });
      t.is(a.lines.filter((line) => line.includes('cannot write')).length, 1);
    },
  );
}

test.serial('if standard output is closed, the tunnel continues', async (t) => {
  await using pair = await startPair();
  const { a } = pair;
  a.child.stdout?.destroy();
  await ping(3, '-i', '0.01');
  await a.waitForLine('standard output was closed');
  await ping(3, '-i', '0.01');
  t.deepEqual(await a.stop('SIGINT'), { status: 0, signal: null });
  t.is(packetsCarried(a.stderr), 12);
});

test.serial('a reader that stops reading blocks neither the tunnel nor its end', async (t) => {
  await using pair = await startPair('-v');
  const { a } = pair;
  a.child.stdout?.pause();
  await ping(5000, '-f');
  const exited = once(a.child, 'exit');
  a.kill('SIGINT');
  t.deepEqual(await exited, [0, null]);
  a.child.stdout?.resume();
  await a.exited;
  t.is(packetsCarried(a.stderr), 10_000);
  t.true(packetsLeftOut(a.stderr) > 0);
});

test.serial('link-local addresses work with the name of the interface', async (t) => {
  for (const [site, address] of [
    [sites.a, 'fe80::1'],
    [sites.b, 'fe80::2'],
  ] as const) {
    await site.ip('address', 'add', `${address}/64`, 'dev', site.veth, 'nodad');
  }
  await using b = startTtun(sites.b, ['-q', 'tun0', 'fe80::2%veth0', '9000', 'fe80::1%veth0', '9000']);
  await b.waitForLine('attached to tun0');
  await using a = startTtun(sites.a, ['-q', 'tun0', 'fe80::1%veth0', '9000', 'fe80::2%veth0', '9000']);
  await a.waitForLine(/socket \[fe80::1%\d+\]:9000 -> \[fe80::2%\d+\]:9000/);
  await t.notThrowsAsync(ping(3, '-i', '0.01'));
});

test.serial('the device is restored', async (t) => {
  const look = (): Promise<string> => sites.a.ip('address', 'show', 'dev', 'tun0');
  const before = await look();
  await using tunnel = startTtun(sites.a, AT_A);
  await tunnel.waitForLine('attached to tun0');
  await tunnel.stop('SIGINT');
  t.is(await waitFor('the carrier to go', async () => (await look()) === before && before), before);
});

test.serial('when the device is deleted, it ends with one line and exit code 1', async (t) => {
  await using deleted = await createSites();
  await using tunnel = startTtun(deleted.a, AT_A);
  await tunnel.waitForLine('attached to tun0');
  await deleted.a.ip('link', 'delete', 'tun0');
  t.deepEqual(await tunnel.exited, { status: 1, signal: null });
  t.regex(tunnel.stderr, /^ttun: attached[^\n]+\nttun: the device tun0 was deleted; [^\n]+\n$/);
});

for (const [first, second] of [
  ['INT', 'INT'],
  ['INT', 'TERM'],
  ['TERM', 'HUP'],
] as const) {
  test.serial(`SIG${second} right after SIG${first} does not cut the summary`, async (t) => {
    for (let round = 0; round < 10; round += 1) {
      await using tunnel = startTtun(sites.a, ['-q', ...AT_A]);
      await tunnel.waitForLine('attached to tun0');
      await run(['bash', '-c', `kill -${first} ${tunnel.pid}; kill -${second} ${tunnel.pid}`]);
      t.deepEqual(await tunnel.exited, { status: 0, signal: null });
      t.regex(
        tunnel.stderr,
        /^ttun: tun0 closed after [^]*^ttun: .*: 0 packets, [^]*^ttun: .*: 0 packets, .*\n$/m,
      );
    }
  });
}

test.serial('timeout, which signals the process and its group, does not cut the summary', async (t) => {
  for (let round = 0; round < 10; round += 1) {
    await using timeout = sites.a.start(['timeout', '60', process.execPath, BIN, '-q', ...AT_A]);
    await timeout.waitForLine('attached to tun0');
    t.deepEqual(await timeout.stop('SIGINT'), { status: 0, signal: null });
    t.regex(
      timeout.stderr,
      /^ttun: tun0 closed after [^]*^ttun: .*: 0 packets, [^]*^ttun: .*: 0 packets, .*\n$/m,
    );
  }
});

/** Runs `onAbort` when the first signal has been handled, in a process that then hangs. */
async function exitCodeAfter(onAbort: string): Promise<number | null> {
  const terminal = new URL('../../dist/terminal.js', import.meta.url).href;
  const program = `
    import { abortOnSignals } from '${terminal}';
    const signal = abortOnSignals();
    const again = () => process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.exit(), 60_000);
    signal.addEventListener('abort', () => { ${onAbort} });
    process.kill(process.pid, 'SIGINT');
  `;
  return (await runToEnd([process.execPath, '--input-type=module', '-e', program])).status;
}

test('a later signal ends the process at once, with the exit code that shells expect', async (t) => {
  t.is(await exitCodeAfter('setInterval(again, 50);'), 143);
});

test('a signal that arrived at once does not count as a later one, however long closing takes', async (t) => {
  const busy = 'again(); const end = performance.now() + 1500; while (performance.now() < end);';
  t.is(await exitCodeAfter(`${busy} setTimeout(() => process.exit(7), 100);`), 7);
});
