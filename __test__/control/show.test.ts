import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import test from 'ava';
import type { ShowReply } from '../../src/control/protocol.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { startPair } from './pair.ts';
import { Room } from './room.ts';

let sites: Sites;
let room: Room;
test.before(async () => {
  sites = await createSites({ tunMtu: 1500 });
  room = await Room.open();
});
test.after.always(async () => {
  await room[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

function documents(stdout: string): readonly ShowReply[] {
  return JSON.parse(stdout);
}

test.serial('with no tunnel it prints a message and succeeds', async (t) => {
  t.like(await room.ttun(['show']), { status: 0, stdout: '', stderr: 'ttun: no tunnel is running\n' });
  t.like(await room.ttun(['show', '--json']), { status: 0, stdout: '[]\n', stderr: '' });
});

test.serial('it shows both ends of a tunnel and their processes', async (t) => {
  const { a, b } = await startPair(room, sites);
  await sites.a.run(['ping', '-c', '3', '-i', '0.01', '-W', '10', sites.b.inner.ipv4]);

  const { status, stdout, stderr } = await room.ttun(['show']);
  t.is(`${status}${stderr}`, '0');
  const blocks = stdout.split('\n\n');
  t.is(blocks.length, 2);
  const atA = blocks.find((block) => block.includes(`process: ${a.pid}`));
  t.regex(
    atA ?? '',
    new RegExp(
      [
        '^tunnel: tun0',
        '  state: up',
        '  device: tun0 \\(mtu 1500, offload: .+\\)',
        '  local: 10\\.0\\.1\\.1:9000',
        '  remote: 10\\.0\\.1\\.2:9000',
        '  last heard: (?:now|\\d seconds? ago)',
        '  transfer: 252 B received, 252 B sent',
        '  packets: 3 received, 3 sent',
        '  advice: packets of more than 1472 bytes .+: ip link set tun0 mtu 1472',
        '  uptime: .+',
        `  process: ${a.pid}, network namespace ${sites.a.namespace}\\n?$`,
      ].join('\n'),
    ),
  );

  const fromA = await room.ttun(['show'], { site: sites.a });
  t.regex(fromA.stdout, new RegExp(`^  process: ${a.pid}$`, 'm'), 'the own namespace is not mentioned');
  await Promise.all([a.stop('SIGINT'), b.stop('SIGINT')]);
});

test.serial('--json prints the replies of all processes as one array', async (t) => {
  const { a, b } = await startPair(room, sites, '-q');
  const { stdout } = await room.ttun(['show', '--json', 'tun0']);
  t.deepEqual(
    documents(stdout)
      .map((document) => document.process.pid)
      .sort((left, right) => left - right),
    [a.pid, b.pid].sort((left, right) => left - right),
  );
  t.like(
    documents(stdout).find((document) => document.process.pid === a.pid),
    {
      protocol: 1,
      process: { pid: a.pid, config: null, networkNamespace: { name: sites.a.namespace } },
      tunnels: [
        { name: 'tun0', local: '10.0.1.1:9000', remote: '10.0.1.2:9000', phase: 'open', problem: null },
      ],
    },
  );
  await Promise.all([a.stop('SIGINT'), b.stop('SIGINT')]);
});

test.serial('an unknown name is an error that lists the running tunnels', async (t) => {
  const { a, b } = await startPair(room, sites, '--json');
  const result = await room.ttun(['show', 'tun0', 'tun9']);
  t.like(result, { status: 1, stdout: '', stderr: 'ttun: there is no tunnel tun9; running: tun0\n' });
  await Promise.all([a.stop('SIGINT'), b.stop('SIGINT')]);
  t.like(await room.ttun(['show', 'tun9']), {
    stderr: 'ttun: there is no tunnel tun9; no tunnel is running\n',
  });
});

test.serial('a tunnel that was killed is not shown, and its socket is removed', async (t) => {
  const { a, b } = await startPair(room, sites);
  await a.stop('SIGKILL');
  t.true(existsSync(room.socketOf(a)));
  const { stdout } = await room.ttun(['show', '--json']);
  t.deepEqual(
    documents(stdout).map((document) => document.process.pid),
    [b.pid],
  );
  t.false(existsSync(room.socketOf(a)));
  t.true(existsSync(room.socketOf(b)));
  await b.stop('SIGINT');
});

test.serial('a process that does not answer is reported, and the others are shown', async (t) => {
  const { a, b } = await startPair(room, sites);
  a.kill('SIGSTOP');
  const { status, stdout, stderr } = await room.ttun(['show']);
  t.is(status, 1);
  t.regex(stdout, new RegExp(`process: ${b.pid}`));
  t.is(stderr, `ttun: the process at /run/ttun/${a.pid}.sock does not answer\n`);
  // The tunnels of both are called tun0.
  b.kill('SIGSTOP');
  const [all, ...named] = await Promise.all(
    [['show'], ['show', 'tun0'], ['capture', 'tun0']].map((args) => room.ttun(args)),
  );
  t.notRegex(all?.stderr ?? '', /no tunnel/);
  for (const { status: failed, stderr: problem } of named) {
    t.is(failed, 1);
    t.regex(
      problem,
      /^ttun: cannot tell whether tunnel tun0 is running: the process at .* does not answer; /,
    );
  }
  b.kill('SIGCONT');
  a.kill('SIGCONT');
  t.is((await room.ttun(['show'])).status, 0);
  await Promise.all([a.stop('SIGINT'), b.stop('SIGINT')]);
});

// Its own name, and so its own directory in /tmp, which other tests do not use.
const USER = { name: 'games', uid: 5, directory: '/tmp/ttun-5' };
const AT_A = ['-q', 'tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];
const AS_USER = { user: USER.name, env: { XDG_RUNTIME_DIR: '' } };

test.serial('users see their own tunnels, and root those of all users', async (t) => {
  await rm(USER.directory, { recursive: true, force: true });
  await using tunnel = startTtun(sites.a, AT_A, AS_USER);
  await tunnel.waitForLine('attached to tun0');
  await waitFor('the socket', async () =>
    (await readdir(USER.directory).catch((): string[] => [])).includes(`${tunnel.pid}.sock`),
  );
  t.is((await lstat(USER.directory)).mode & 0o777, 0o700);

  const own = await sites.b.runToEnd([process.execPath, BIN, 'show', 'tun0'], AS_USER);
  t.regex(own.stdout, new RegExp(`^  process: ${tunnel.pid}, network namespace ${sites.a.namespace}$`, 'm'));
  const byRoot = await room.ttun(['show', 'tun0']);
  t.regex(
    byRoot.stdout,
    new RegExp(`^  process: ${tunnel.pid}, network namespace ${sites.a.namespace}, user 5$`, 'm'),
  );
  await tunnel.stop('SIGINT');
  t.deepEqual(await readdir(USER.directory), []);
  const none = await sites.b.runToEnd([process.execPath, BIN, 'show'], AS_USER);
  t.like(none, {
    status: 0,
    stdout: '',
    stderr: 'ttun: no tunnel of this user is running; for those of all users: sudo ttun show\n',
  });
});

test.serial(
  'without a directory for its socket a tunnel runs, and reports why there is no socket',
  async (t) => {
    await rm(USER.directory, { recursive: true, force: true });
    await mkdir('/tmp/ttun-5-elsewhere', { recursive: true });
    await symlink('/tmp/ttun-5-elsewhere', USER.directory);
    try {
      await using tunnel = startTtun(sites.a, AT_A, AS_USER);
      t.is(
        await tunnel.waitForLine('control socket'),
        'ttun: no directory for the control socket (/tmp/ttun-5: not a directory); continuing without a control socket, so ttun show cannot see this process',
      );
      t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
      t.regex(tunnel.stderr, /tun0 closed after/);
    } finally {
      await rm(USER.directory);
      await rm('/tmp/ttun-5-elsewhere', { recursive: true });
    }
  },
);

test.serial('--watch --json prints an array at each interval until it is ended', async (t) => {
  const { a, b } = await startPair(room, sites);
  await using watch = room.startTtun(['show', '--watch', '--json', '--interval', '100']);
  await waitFor('three lines', () => watch.lines.length >= 3);
  await b.stop('SIGINT');
  await waitFor('the end of a tunnel to show', () => documents(watch.lines.at(-1) ?? '[]').length === 1);
  t.deepEqual(await watch.stop('SIGINT'), { status: 0, signal: null });
  t.like(documents(watch.lines.at(-1) ?? '[]'), [{ process: { pid: a.pid } }]);
  await a.stop('SIGINT');
});

const WRONG: readonly (readonly [what: string, args: readonly string[], message: RegExp])[] = [
  [
    '--watch without a terminal',
    ['--watch'],
    /--watch needs a terminal; for programs, ttun show --watch --json/,
  ],
  ['an interval without --watch', ['--interval', '500'], /--interval requires --watch/],
  [
    'an interval that is too short',
    ['--watch', '--interval', '5'],
    /'5' is not a number of milliseconds from 100/,
  ],
  ['an interval that is not a number', ['--watch', '-i', '1s'], /'1s' is not a number of milliseconds/],
];

for (const [what, args, message] of WRONG) {
  test(`${what} gives one line and exit code 2`, async (t) => {
    const { status, stdout, stderr } = await room.ttun(['show', ...args]);
    t.is(status, 2);
    t.is(stdout, '');
    t.regex(stderr, message);
    t.is(stderr.trimEnd().split('\n').length, 1);
  });
}
