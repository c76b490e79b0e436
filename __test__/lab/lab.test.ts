import { execFileSync, spawn } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import test from 'ava';
import { folderWith, pathOf } from './folders.ts';
import { commandLineOf, LabRun, traces, until } from './lab-run.ts';

// The lab's sites have fixed names: so these tests run one by one, and no other file uses the names.

test.serial.afterEach.always('no lab left anything behind', (t) => {
  t.deepEqual(traces(), []);
});

test.serial('the lab runs the commands of the README and everything happens as expected', async (t) => {
  const lab = new LabRun();
  const { exitCode, stdout, stderr } = await lab.ended;

  t.is(exitCode, 0, stdout + stderr);
  const shown = new Set(stdout.split('\n').map((line) => line.trim()));
  for (const command of [
    'ip netns add siteA',
    'ip netns add siteB',
    'ip netns exec siteA ip tuntap add dev tun0 mode tun',
    'ip netns exec siteB ip tuntap add dev tun0 mode tun',
    'ip netns exec siteA ip addr add 10.0.1.1/24 dev veth0',
    'ip netns exec siteB ip addr add 10.0.1.2/24 dev veth1',
    'ip netns exec siteA ip addr add 10.0.2.1/24 dev tun0',
    'ip netns exec siteB ip addr add 10.0.2.2/24 dev tun0',
    'ip netns exec siteA ip link set dev veth0 up',
    'ip netns exec siteB ip link set dev tun0 up',
    'ip netns exec siteA ip link set dev lo up',
    'ip netns exec siteA ttun tun0 10.0.1.1 9000 10.0.1.2 9000 &',
    'ip netns exec siteB ttun tun0 10.0.1.2 9000 10.0.1.1 9000 &',
    'ip netns delete siteA',
    'ip netns delete siteB',
  ]) {
    t.true(shown.has(`$ ${command}`), command);
  }
  t.regex(stdout, /no answer, as expected/);
  t.regex(stdout, /site[AB] \| .*10\.0\.2\.1 > 10\.0\.2\.2/, 'a packet that ttun shows');
  t.regex(stdout, /"Hello World" arrived in siteB/);
  t.regex(stdout, /siteA → siteB: [\d.]+ [GM]bit\/s/);
  t.regex(stdout, /siteB → siteA: [\d.]+ [GM]bit\/s/);
  t.regex(stdout, /ttun in siteA .*\n.*sent: [\d,]+ packets/);
  t.regex(stdout, /The tunnel works\.\n$/);
  t.notRegex(stdout, /✗/);
  t.false(stdout.includes('\u001B'), 'no colour unless on a terminal');
  t.deepEqual(lab.family(), []);
});

interface Report {
  ok: boolean;
  failure: string | null;
  mode: string;
  removed: boolean;
  hello: string;
  pings: { over: string; tunnelRuns: boolean; by: string; answered: boolean }[];
  throughput: { from: string; by: string; bitsPerSecond: number }[];
  tunnels: { site: string; exitCode: number; summary: string[]; stats: { encap: Counts; decap: Counts } }[];
  steps: { number: number; title: string; commands: { command: string; exitCode: number | null }[] }[];
}

interface Counts {
  received: number;
  packets: number;
  dropped: number;
}

test.serial(
  'with nothing but Node and iproute2 the lab uses its own tools, and prints one JSON document',
  async (t) => {
    const path = folderWith({ node: process.execPath, ip: pathOf('ip') });
    t.teardown(() => rmSync(path, { recursive: true }));
    const lab = new LabRun(['--json'], { environment: { PATH: path } });
    const { exitCode, stdout, stderr } = await lab.ended;

    t.is(exitCode, 0, stdout + stderr);
    const report: Report = JSON.parse(stdout);
    t.like(report, { ok: true, failure: null, mode: 'root', removed: true, hello: 'Hello World' });
    t.deepEqual([...new Set(report.pings.map(({ by }) => by))], ['tcp-knock']);
    const through = report.pings.filter(({ over }) => over === 'tunnel');
    t.deepEqual(
      through.map(({ tunnelRuns, answered }) => ({ tunnelRuns, answered })),
      [false, false, true, true].map((works) => ({ tunnelRuns: works, answered: works })),
    );
    t.deepEqual(
      report.throughput.map(({ from, by }) => `${from} by ${by}`),
      ['siteA by node', 'siteB by node'],
    );
    t.true(report.throughput.every(({ bitsPerSecond }) => bitsPerSecond > 0));
    for (const { exitCode: code, summary, stats } of report.tunnels) {
      t.is(code, 0);
      t.true(summary.length > 0);
      for (const { received, packets, dropped } of [stats.encap, stats.decap]) {
        t.true(packets > 0);
        t.is(received, packets + dropped);
      }
    }
    t.is(report.tunnels.length, 2);
    t.deepEqual(
      report.steps.map(({ number }) => number),
      report.steps.map((_, index) => index + 1),
    );
    t.regex(stderr, /^ +\$ ip netns add siteA$/m);
    t.deepEqual(lab.family(), []);
  },
);

test.serial('a namespace of that name that the lab did not create is left alone', async (t) => {
  execFileSync('ip', ['netns', 'add', 'siteB']);
  const before = statSync('/run/netns/siteB').ino;
  try {
    const lab = new LabRun();
    const { exitCode, stdout, stderr } = await lab.ended;

    t.is(exitCode, 1);
    t.is(stdout, '');
    t.regex(stderr, /siteB already exists/);
    t.regex(stderr, /: ip netns delete siteB$/m);
    t.is(statSync('/run/netns/siteB').ino, before);
    t.deepEqual(traces(), ['siteB']);
  } finally {
    execFileSync('ip', ['netns', 'delete', 'siteB']);
  }
});

for (const [signal, moment] of [
  ['SIGINT', '$ ip netns add siteA'],
  ['SIGHUP', '3. A TUN device'],
  ['SIGTERM', '$ ip netns exec siteB ttun'],
  ['SIGINT', '9. Hello World'],
  ['SIGINT', 'Throughput'],
] as const) {
  test.serial(`${signal} at "${moment}" removes everything`, async (t) => {
    const lab = new LabRun();
    await lab.untilPrinted(moment);
    lab.child.kill(signal);
    const { exitCode, stdout } = await lab.ended;

    t.is(exitCode, 128 + constants.signals[signal]);
    t.regex(stdout, new RegExp(`interrupted by ${signal}`));
    t.deepEqual(traces(), []);
    t.deepEqual(lab.family(), []);
  });
}

for (const moment of ['$ ip netns add siteA', '$ ip netns exec siteA ip link', 'Throughput']) {
  test.serial(`what a lab made that is killed at "${moment}" is removed`, async (t) => {
    const lab = new LabRun();
    await lab.untilPrinted(moment);
    lab.child.kill('SIGKILL');
    await lab.ended;

    await until('its processes are gone', () => lab.family().length === 0);
    t.deepEqual(traces(), []);
  });
}

test.serial('a killed ttun ends the lab, which reports it and removes everything', async (t) => {
  const lab = new LabRun();
  await lab.untilPrinted('Throughput');
  const victim = lab.family().find((pid) => commandLineOf(pid).includes('tun0 10.0.1.2 9000')) ?? Number.NaN;
  process.kill(victim, 'SIGKILL');
  const { exitCode, stdout } = await lab.ended;

  t.is(exitCode, 1);
  t.regex(stdout, /✗ ttun in siteB exited unexpectedly \(SIGKILL\)$/m);
  t.deepEqual(traces(), []);
  t.deepEqual(lab.family(), []);
});

test.serial('when its output is no longer read, the lab ends and removes everything', async (t) => {
  const lab = new LabRun();
  await lab.untilPrinted('ip netns add siteB');
  lab.child.stdout?.destroy();
  const { exitCode } = await lab.ended;
  await until('its processes are gone', () => lab.family().length === 0);

  t.is(exitCode, 128 + constants.signals.SIGPIPE);
  t.deepEqual(traces(), []);
});

test.serial('--keep leaves everything up until Ctrl-C, and then ends only its own processes', async (t) => {
  const lab = new LabRun(['--keep']);
  await lab.untilPrinted('Look around');
  t.deepEqual(traces(), ['siteA', 'siteB']);
  const visitor = spawn('ip', ['netns', 'exec', 'siteA', 'sleep', '60'], { stdio: 'ignore' });
  t.teardown(() => visitor.kill());
  await until('the visitor is in', () => commandLineOf(visitor.pid ?? 0).startsWith('sleep'));
  lab.child.kill('SIGINT');
  const { exitCode, stdout } = await lab.ended;

  t.is(exitCode, 0, stdout);
  t.regex(stdout, new RegExp(`siteA .* process ${visitor.pid} \\(sleep 60\\)`));
  t.deepEqual(lab.family(), []);
  t.is(visitor.exitCode ?? visitor.signalCode, null, 'the visitor was not ended');
});
