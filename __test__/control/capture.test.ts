import { once } from 'node:events';
import { lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../testbed/exec.ts';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { startPair } from './pair.ts';
import type { Pair } from './pair.ts';
import { connect } from './raw-client.ts';
import { Room } from './room.ts';

let sites: Sites;
let room: Room;
let folder: string;
test.before(async () => {
  sites = await createSites();
  room = await Room.open();
  folder = await mkdtemp('/tmp/control-test-');
});
test.after.always(async () => {
  await room[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

let pair: Pair;
test.beforeEach(async () => {
  pair = await startPair(room, sites);
});
test.afterEach.always(() => Promise.all([pair.a.stop('SIGINT'), pair.b.stop('SIGINT')]));

async function startCapture(...args: string[]): Promise<BackgroundProcess> {
  const capture = room.startTtun(['capture', 'tun0', ...args], { site: sites.a });
  await capture.waitForLine('capturing tun0');
  return capture;
}

/** Sends exactly this many requests, each of which must be answered. */
async function pingTimes(count: number, address: string = sites.b.inner.ipv4, size = 56): Promise<void> {
  // One ping(8) each: one that has had a reply waits for the others only as long as two round trips.
  for (let sent = 0; sent < count; sent += 1)
    await sites.a.run(['ping', '-n', '-c', '1', '-W', '10', '-s', `${size}`, address]);
}

/** tcpdump's view of a file, with packets in hexadecimal and without times. */
async function packetsOf(path: string): Promise<string> {
  const { stdout } = await run(['tcpdump', '-n', '-t', '-x', '-r', path]);
  return stdout;
}

function countsIn(stderr: string): { captured: number; lost: number } {
  const found = /^ttun: ([\d,]+) packets? captured(?:, ([\d,]+) missed)?$/m.exec(stderr);
  const [captured, lost] = [found?.[1], found?.[2] ?? '0'].map((text) => Number(text?.replaceAll(',', '')));
  return { captured: captured ?? Number.NaN, lost: lost ?? Number.NaN };
}

test.serial('a file holds the packets that tcpdump sees at the device', async (t) => {
  const [ours, theirs] = [join(folder, 'ours.pcap'), join(folder, 'theirs.pcap')];
  await using tcpdump = sites.a.start(['tcpdump', '-i', 'tun0', '-U', '-w', theirs]);
  await tcpdump.waitForLine('listening on tun0');
  await using capture = await startCapture('-w', ours);
  await pingTimes(20);
  await pingTimes(2, sites.b.inner.ipv6, 3000);

  t.deepEqual(await capture.stop('SIGINT'), { status: 0, signal: null });
  await waitFor('tcpdump to see as many', async () => {
    return (await packetsOf(theirs)).length >= (await packetsOf(ours)).length;
  });
  await tcpdump.stop('SIGINT');
  t.deepEqual(countsIn(capture.stderr), { captured: 40 + 2 * 3 * 2, lost: 0 });
  t.is(await packetsOf(ours), await packetsOf(theirs));
  t.is((await lstat(ours)).mode & 0o777, 0o600);
});

test.serial('a pipe without a reader does not delay the end', async (t) => {
  const pipe = join(folder, 'pipe');
  await run(['mkfifo', pipe]);
  await using capture = room.startTtun(['capture', 'tun0', '-w', pipe], { site: sites.a });
  await waitFor('it to open the pipe', async () => {
    const threads = await sites.a.run([
      'sh',
      '-c',
      `grep -l wait_for_partner /proc/${capture.pid}/task/*/wchan || true`,
    ]);
    return threads.stdout !== '';
  });
  t.deepEqual(await capture.stop('SIGINT'), { status: 0, signal: null });
});

test.serial('a pcapng file holds the same packets, with their directions', async (t) => {
  const [pcap, pcapng] = [join(folder, 'x.pcap'), join(folder, 'x.pcapng')];
  await using first = await startCapture('-w', pcap);
  await using second = await startCapture('-w', pcapng);
  await pingTimes(3);
  await Promise.all([first.stop('SIGINT'), second.stop('SIGINT')]);
  t.is(await packetsOf(pcapng), await packetsOf(pcap));
  const packets = directionsIn(await readFile(pcapng));
  t.is(packets.length, 6);
  t.true(packets.every(({ direction, type }) => direction === (type === ECHO_REQUEST ? OUTBOUND : INBOUND)));
});

const ECHO_REQUEST = 8;
const INBOUND = 1;
const OUTBOUND = 2;

/** By the flags of each Enhanced Packet Block (draft-ietf-opsawg-pcapng, section 4.3), beside the ICMP type of the packet. */
function directionsIn(file: Buffer): { direction: number; type: number | undefined }[] {
  const packets = [];
  for (let offset = 0; offset < file.length; offset += file.readUInt32LE(offset + 4)) {
    if (file.readUInt32LE(offset) !== 6) continue;
    const data = offset + 28;
    const options = data + Math.ceil(file.readUInt32LE(offset + 20) / 4) * 4;
    const isFlags = file.readUInt16LE(options) === 2 && file.readUInt16LE(options + 2) === 4;
    const direction = isFlags ? file.readUInt32LE(options + 4) & 3 : 0;
    packets.push({ direction, type: file[data + 20] });
  }
  return packets;
}

test.serial('Wireshark reads both formats, and the directions from pcapng', async (t) => {
  const [pcap, pcapng] = [join(folder, 'shark.pcap'), join(folder, 'shark.pcapng')];
  await using first = await startCapture('-w', pcap);
  await using second = await startCapture('-w', pcapng);
  await pingTimes(2);
  await Promise.all([first.stop('SIGINT'), second.stop('SIGINT')]);
  const packets = [`${ECHO_REQUEST}`, '0', `${ECHO_REQUEST}`, '0'];
  t.deepEqual(await fieldsOf(pcap, 'icmp.type'), packets);
  const directions = packets.map((type) => `${type}\t${type === '0' ? INBOUND : OUTBOUND}`);
  const read = await fieldsOf(pcapng, 'icmp.type', 'frame.packet_flags_direction');
  t.deepEqual(
    read.map((line) => line.replace(/0x0+/, '')),
    directions,
  );
});

/** One line per packet, with these Wireshark fields separated by tabs. */
async function fieldsOf(path: string, ...fields: readonly string[]): Promise<string[]> {
  const wanted = fields.flatMap((field) => ['-e', field]);
  const { stdout } = await run(['tshark', '-r', path, '-T', 'fields', ...wanted]);
  return stdout.trim().split('\n');
}

test.serial('it ends after the requested number of packets', async (t) => {
  const path = join(folder, 'count.pcap');
  await using capture = await startCapture('-w', path, '--count', '5');
  await pingTimes(10);
  t.deepEqual(await capture.exited, { status: 0, signal: null });
  t.regex(capture.stderr, /^ttun: 5 packets captured$/m);
  t.is((await packetsOf(path)).match(/ICMP/g)?.length, 5);
});

test.serial('it truncates packets to the snap length and keeps their original lengths', async (t) => {
  const path = join(folder, 'snap.pcap');
  await using capture = await startCapture('-w', path, '-s', '32', '-c', '2');
  await pingTimes(1);
  await capture.exited;
  const { stdout, stderr } = await run(['tcpdump', '-n', '-r', path, '-v']);
  t.regex(stderr, /snapshot length 32/);
  t.is(stdout.match(/length 84\)/g)?.length, 2);
  t.is((await lstat(path)).size, 24 + 2 * (16 + 32));
});

for (const [direction, kind] of [
  ['in', 'echo reply'],
  ['out', 'echo request'],
] as const) {
  test.serial(`only one direction: ${direction}`, async (t) => {
    await using capture = await startCapture('-d', direction);
    await pingTimes(3);
    await capture.stop('SIGINT');
    t.is(capture.stdout.match(new RegExp(` ICMP ${kind}, `, 'g'))?.length, 3);
    t.deepEqual(countsIn(capture.stderr), { captured: 3, lost: 0 });
  });
}

test.serial('without a file it prints packets as the tunnel does, which keeps printing', async (t) => {
  await using capture = await startCapture();
  await pingTimes(2);
  await waitFor('the tunnel to print', () => withoutTimes(pair.a.stdout).length === 4);
  await capture.stop('SIGINT');
  t.regex(capture.stdout, /^\d\d:\d\d:\d\d\.\d{6} Out IP 10\.0\.2\.1 > 10\.0\.2\.2: ICMP echo request, /);
  t.deepEqual(withoutTimes(capture.stdout), withoutTimes(pair.a.stdout));
});

function withoutTimes(stdout: string): string[] {
  return stdout.match(/(?:Out|In ) .+/g) ?? [];
}

test.serial('--json prints an object for each packet', async (t) => {
  await using capture = await startCapture('--json', '-c', '2');
  await pingTimes(1);
  await capture.exited;
  const [request, reply] = capture.stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  t.like(request, { direction: 'out', length: 84 });
  t.like(reply, { direction: 'in', length: 84 });
  const { timestamp, description, data } = JSON.parse(capture.stdout.split('\n')[0] ?? '');
  t.true(Math.abs(Date.now() - timestamp) < 60_000);
  t.regex(description, /^IP 10\.0\.2\.1 > 10\.0\.2\.2: ICMP echo request, /);
  t.is(Buffer.from(data, 'base64').length, 84);
});

test.serial('-w - feeds a program, and ends when that program ends', async (t) => {
  const command = `"$0" "$1" capture tun0 -w - | tcpdump -n -r - -c 2`;
  await using pipeline = room.start(['sh', '-c', command, process.execPath, BIN], { site: sites.a });
  await pipeline.waitForLine('capturing tun0');
  const pings = sites.a.start(['ping', '-i', '0.05', sites.b.inner.ipv4]);
  await pipeline.exited;
  await pings.stop('SIGINT');
  t.is(pipeline.stdout.match(/ICMP echo/g)?.length, 2);
  t.regex(pipeline.stderr, /^ttun: \d+ packets captured$/m);
  t.notRegex(pipeline.stderr, /EPIPE|failed/);
});

test.serial('it ends with the tunnel', async (t) => {
  await using capture = await startCapture();
  await pingTimes(1);
  await pair.a.stop('SIGINT');
  t.deepEqual(await capture.exited, { status: 0, signal: null });
  t.regex(capture.stderr, /^ttun: tun0 was closed\nttun: 2 packets captured$/m);
});

test.serial('it reports a tunnel that was killed', async (t) => {
  await using capture = await startCapture();
  await pingTimes(1);
  await capture.waitForLine('echo reply');
  await pair.a.stop('SIGKILL');
  t.deepEqual(await capture.exited, { status: 1, signal: null });
  t.regex(capture.stderr, /^ttun: the process of tun0 ended unexpectedly\nttun: 2 packets captured$/m);
});

test.serial('a slow reader delays nothing, and the packets it missed are counted', async (t) => {
  await using capture = await startCapture('-w', '-');
  capture.child.stdout?.pause();
  const { sent, received } = await transferTcp({
    from: sites.a,
    to: sites.b,
    address: sites.b.inner.ipv4,
    bytes: 100_000_000,
  });
  t.deepEqual(received, sent);
  const peak = await peakMemory(pair.a.pid);
  t.true(peak < 200 * 1024, `the tunnel's process took ${peak} KiB`);
  capture.child.stdout?.resume();
  capture.kill('SIGINT');
  await capture.exited;
  await pair.a.stop('SIGINT');
  const carried = [...pair.a.stderr.matchAll(/^ttun: (?:sent|received): ([\d,]+) packets/gm)];
  const { captured, lost } = countsIn(capture.stderr);
  t.true(lost > 0, `nothing of ${captured} was lost`);
  t.is(
    captured + lost,
    carried.reduce((sum, [, count]) => sum + Number(count?.replaceAll(',', '')), 0),
  );
});

/** In KiB. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
}

test.serial('a reader that never reads does not delay the end', async (t) => {
  await using capture = await startCapture('-w', '-');
  capture.child.stdout?.pause();
  await ping(sites.a, sites.b.inner.ipv4, { count: 2000, size: 1400, flood: true });
  const exited = new Promise((resolve) => {
    capture.child.once('exit', resolve);
  });
  capture.kill('SIGINT');
  t.is(await exited, 0);
  capture.child.stdout?.resume();
});

test.serial(
  'of several tunnels with the same name, the one in the same network namespace is captured',
  async (t) => {
    const { status, stderr } = await room.ttun(['capture', 'tun0']);
    t.is(status, 1);
    // Root sees the tunnels of all users, including those of other tests.
    t.regex(
      stderr,
      /^ttun: \d+ processes have a tunnel tun0; choose one: --pid \d+ \(network namespace tt\S+\)(?: or \d+ \(.+\))+\n$/,
    );
    t.true([pair.a, pair.b].every(({ pid }) => stderr.includes(` ${pid} (`)));
    await using capture = room.startTtun(['capture', 'tun0', '-c', '1', '--pid', `${pair.b.pid}`]);
    await capture.waitForLine('capturing');
    await pingTimes(1);
    t.like(await capture.exited, { status: 0 });
    t.regex(capture.stdout, / In {2}IP 10\.0\.2\.1 > 10\.0\.2\.2: ICMP echo request/);
  },
);

test.serial(
  'the number of captures of one tunnel is limited, and a refused one leaves its file unchanged',
  async (t) => {
    // The tunnel's own printing is one of sixteen.
    const captures = await Promise.all(Array.from({ length: 15 }, () => connect(room.socketOf(pair.a))));
    for (const capture of captures) {
      capture.write('{"protocol":1,"request":"capture","tunnel":"tun0"}\n');
      await once(capture, 'data');
    }
    const file = join(folder, 'before.pcap');
    await writeFile(file, 'an earlier capture');
    const { status, stderr } = await room.ttun(['capture', 'tun0', '-w', file], { site: sites.a });
    t.is(await readFile(file, 'utf8'), 'an earlier capture');
    t.is(status, 1);
    t.regex(stderr, /^ttun: this tunnel already has 16 packet taps, the maximum; close one of them/);
    for (const capture of captures) capture.destroy();
  },
);
