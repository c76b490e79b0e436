import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { folderWith, newFolder, pathOf } from './folders.ts';
import { LabRun, root } from './lab-run.ts';

const NOBODY = 65_534;
const asNobody = `setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups`;

/** A TUN device node that every user may open, and nothing else in /dev/net. */
const openTun = 'mount -t tmpfs tmpfs /dev/net && mknod -m 0666 /dev/net/tun c 10 200';

/**
 * Starts the lab in a mount namespace of its own, in which the shell command `prepare` may change what is mounted; `as` is
 * the prefix of the lab's command line. Checkout and Node appear in a folder that every user can reach.
 */
function labWhere(t: ExecutionContext, { prepare, as = '' }: { prepare: string; as?: string }): LabRun {
  const folder = newFolder();
  t.teardown(() => rmSync(folder, { recursive: true }));
  const checkout = join(folder, 'checkout');
  const node = join(folder, 'node');
  mkdirSync(checkout);
  mkdirSync(node);
  const script = [
    `mount --bind '${root}' ${checkout}`,
    `mount --bind '${dirname(process.execPath)}' ${node}`,
    prepare,
    `cd ${checkout}`,
    `exec ${as} ${node}/node dist/bin.js lab`,
  ].join(' && ');
  return new LabRun([], { argv: ['unshare', '--mount', 'sh', '-c', script] });
}

test('an ordinary user gets the whole lab, in a user namespace of their own', async (t) => {
  const lab = labWhere(t, { prepare: openTun, as: asNobody });
  const { exitCode, stdout, stderr } = await lab.ended;

  const mayHaveOne = spawnSync('sh', ['-c', `${asNobody} unshare --user --map-root-user --net --mount true`]);
  if (mayHaveOne.status === 0) {
    t.is(exitCode, 0, stdout + stderr);
    t.regex(stdout, /You are not root/);
    t.regex(stdout, /The tunnel works\.\n$/);
  } else {
    t.is(exitCode, 1);
    t.regex(stderr, /^ttun lab: no user namespaces for you .*: run the lab as root, or /);
  }
  t.deepEqual(lab.family(), []);
  // Where a root of no namespace but its own would keep control sockets.
  t.not(statSync('/tmp/ttun-0', { throwIfNoEntry: false })?.uid, NOBODY);
});

test('an interrupted lab of an ordinary user leaves no process behind', async (t) => {
  const lab = labWhere(t, { prepare: openTun, as: asNobody });
  await lab.untilPrinted('7. ttun');
  lab.child.kill('SIGINT');
  const { exitCode, stdout } = await lab.ended;

  t.is(exitCode, 130, stdout);
  t.deepEqual(lab.family(), []);
});

const refusals: readonly { when: string; prepare: string; as?: string; reason: RegExp }[] = [
  {
    when: 'there is no /dev/net/tun',
    prepare: 'mount -t tmpfs tmpfs /dev/net',
    reason: /^ttun lab: no \/dev\/net\/tun: as root, modprobe tun/,
  },
  {
    when: 'the user may not open /dev/net/tun',
    prepare: `${openTun} && chmod 0600 /dev/net/tun`,
    as: asNobody,
    reason: /^ttun lab: no access to \/dev\/net\/tun: .*chmod 0666 \/dev\/net\/tun/m,
  },
  {
    when: 'user namespaces are switched off',
    prepare: openTun,
    as: `${asNobody} unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"' sh`,
    reason: /^ttun lab: you may not create user namespaces \(.*\): .*sysctl user\.max_user_namespaces=/m,
  },
];

for (const { when, prepare, as = '', reason } of refusals) {
  test(`the lab gives a remedy where ${when}`, async (t) => {
    const { exitCode, stdout, stderr } = await labWhere(t, { prepare, as }).ended;
    t.is(exitCode, 1);
    t.is(stdout, '');
    t.regex(stderr, reason);
  });
}

test('the lab names the packages of the tools that are missing', async (t) => {
  const path = folderWith({ sh: pathOf('sh') });
  t.teardown(() => rmSync(path, { recursive: true }));
  const { exitCode, stderr } = await new LabRun([], { environment: { PATH: path } }).ended;
  t.is(exitCode, 1);
  t.is(stderr, 'ttun lab: `ip` is not installed: apt-get install iproute2 (Fedora: dnf install iproute)\n');
});
