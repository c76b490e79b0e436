import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { prepare, placesForSocket } from '../../src/control/socket-file.ts';
import { startControlServer } from '../../src/control/server.ts';
import { hostOf } from './host.ts';

const NOBODY = 65_534;

let parent: string;
test.before(async () => {
  parent = await mkdtemp('/tmp/control-test-');
});
test.after.always(() => rm(parent, { recursive: true, force: true }));
test.beforeEach(() => {
  delete process.env['RUNTIME_DIRECTORY'];
  delete process.env['XDG_RUNTIME_DIR'];
});

test.serial('root has one directory for the whole system', (t) => {
  t.deepEqual(
    placesForSocket().map(({ directory }) => directory),
    ['/run/ttun', '/tmp/ttun-0'],
  );
});

test.serial('a service uses the directory that systemd created for it', (t) => {
  process.env['RUNTIME_DIRECTORY'] = '/run/other:/run/user/1000/ttun';
  t.is(placesForSocket()[0]?.directory, '/run/user/1000/ttun');
});

test.serial('other users have one in their session, or else in /tmp', (t) => {
  const become = process.seteuid;
  if (become === undefined) throw new Error('this is no Linux');
  become(NOBODY);
  try {
    t.deepEqual(
      placesForSocket().map(({ directory }) => directory),
      ['/tmp/ttun-65534'],
    );
    process.env['XDG_RUNTIME_DIR'] = '/run/user/65534';
    t.deepEqual(
      placesForSocket().map(({ directory }) => directory),
      ['/run/user/65534/ttun', '/tmp/ttun-65534'],
    );
    process.env['XDG_RUNTIME_DIR'] = 'relative';
    t.is(placesForSocket()[0]?.directory, '/tmp/ttun-65534');
  } finally {
    become(0);
  }
});

const strictly = (directory: string): Promise<void> => prepare({ directory, forbidden: 0o077 });

test.serial('a directory is created for its owner only', async (t) => {
  const directory = join(parent, 'made');
  await strictly(directory);
  await t.notThrowsAsync(strictly(directory), 'and is good the next time');
});

test.serial('a directory that other users can access is refused', async (t) => {
  const real = join(parent, 'real');
  await mkdir(real, 0o700);
  await symlink(real, join(parent, 'link'));
  await t.throwsAsync(strictly(join(parent, 'link')), { message: 'not a directory' });

  await mkdir(join(parent, 'wide'), 0o755);
  await t.throwsAsync(strictly(join(parent, 'wide')), {
    message: /accessible to other users; type: chmod 700 .+wide$/,
  });

  await mkdir(join(parent, 'theirs'), 0o700);
  await chown(join(parent, 'theirs'), NOBODY, NOBODY);
  await t.throwsAsync(strictly(join(parent, 'theirs')), { message: 'owned by another user' });
});

test.serial('a directory that others may only list, as systemd creates it, is accepted', async (t) => {
  const directory = join(parent, 'ttun');
  await mkdir(directory);
  await chmod(directory, 0o755);
  process.env['RUNTIME_DIRECTORY'] = directory;
  const server = await startControlServer(hostOf());
  t.is(server.path, `${directory}/${process.pid}.sock`);
  await server.close();
});

test.serial('a directory that cannot be used is skipped if there is another', async (t) => {
  const inTheWay = join(parent, 'file', 'ttun');
  await mkdir(join(parent, 'file'));
  await writeFile(inTheWay, '');
  const tooLong = join(parent, 'long'.repeat(30));
  await mkdir(tooLong);
  process.env['RUNTIME_DIRECTORY'] =
    `${inTheWay}:${join(tooLong, 'ttun')}:${join(parent, 'nowhere', 'ttun')}`;
  const server = await startControlServer(hostOf());
  t.is(server.path, `/run/ttun/${process.pid}.sock`);
  await server.close();
  t.deepEqual(await readdir(join(tooLong, 'ttun')), []);
});
