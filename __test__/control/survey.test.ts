import { existsSync } from 'node:fs';
import { chown, symlink, unlink, utimes } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { survey } from '../../src/control/client.ts';
import type { Survey } from '../../src/control/client.ts';
import { PROTOCOL } from '../../src/control/protocol.ts';
import type { ShowReply } from '../../src/control/protocol.ts';
import { startControlServer } from '../../src/control/server.ts';
import { run, start } from '../../testbed/exec.ts';
import { hostOf, REPORT, STATS } from './host.ts';
import { RuntimeDirectory } from './runtime-directory.ts';

let directory: RuntimeDirectory;
test.before(async () => {
  directory = await RuntimeDirectory.use();
  // Creates the directory.
  await (await startControlServer(hostOf())).close();
});
test.after.always(() => directory[Symbol.asyncDispose]());

/** Without the processes of other tests. */
async function surveyHere(): Promise<Survey> {
  const { replies, silent } = await survey(500);
  return { replies: replies.filter(isHere), silent: silent.filter(isHere) };
}

function isHere({ path }: { readonly path: string }): boolean {
  return path.startsWith(directory.path);
}

/** Leaves the socket of a killed process. */
async function leaveBehind(name: string): Promise<string> {
  const path = join(directory.path, name);
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await run(['sh', '-c', `${process.execPath} -e "$0" || true`, program]);
  if (!existsSync(path)) throw new Error(`nothing was left at ${path}`);
  return path;
}

async function longAgo(path: string): Promise<void> {
  await utimes(path, 1, 1);
}

test.serial('every process with a socket is queried', async (t) => {
  const server = await startControlServer(hostOf(REPORT));
  t.like(await surveyHere(), {
    replies: [{ path: server.path, reply: { process: { pid: process.pid }, tunnels: [REPORT] } }],
    silent: [],
  });
  await server.close();
});

test.serial('a socket whose process is gone is removed and not reported', async (t) => {
  const path = await leaveBehind('4194304.sock');
  t.deepEqual(await surveyHere(), { replies: [], silent: [] });
  t.false(existsSync(path));
});

test.serial('a socket whose PID now belongs to another process is removed too', async (t) => {
  const path = await leaveBehind(`${process.ppid}.sock`);
  await longAgo(path);
  t.deepEqual(await surveyHere(), { replies: [], silent: [] });
  t.false(existsSync(path));
});

test.serial('a new socket is kept while its process exists, because it may be about to listen', async (t) => {
  const path = await leaveBehind(`${process.ppid}.sock`);
  t.deepEqual(await surveyHere(), { replies: [], silent: [] });
  t.true(existsSync(path));
  await longAgo(path);
  await surveyHere();
});

test.serial('a socket of another user is left alone', async (t) => {
  const path = await leaveBehind('4194303.sock');
  await chown(path, 65_534, 65_534);
  t.deepEqual(await surveyHere(), { replies: [], silent: [] });
  t.true(existsSync(path));
});

test.serial('a symbolic link to a socket is not followed', async (t) => {
  const server = await startControlServer(hostOf(REPORT));
  const link = join(directory.path, '1.sock');
  await symlink(server.path, link);
  t.deepEqual(
    (await surveyHere()).replies.map(({ path }) => path),
    [server.path],
  );
  await unlink(link);
  await server.close();
});

test.serial('a process replaces the socket of a dead process with the same PID', async (t) => {
  await longAgo(await leaveBehind(`${process.pid}.sock`));
  const server = await startControlServer(hostOf());
  t.is(server.path, join(directory.path, `${process.pid}.sock`));
  await server.close();
});

test.serial('a process takes the next name if a process of another PID namespace has its own', async (t) => {
  const elsewhere = await startControlServer(hostOf());
  const server = await startControlServer(hostOf(REPORT));
  t.is(server.path, join(directory.path, `${process.pid}-2.sock`));
  t.is((await surveyHere()).replies.length, 2);
  await server.close();
  t.true(existsSync(elsewhere.path));
  await elsewhere.close();
});

test.serial('a socket is removed when its process exits or throws', async (t) => {
  const module = new URL('../../dist/control/server.js', import.meta.url).href;
  const program = `
    import { startControlServer } from '${module}';
    const server = await startControlServer({ reports: () => [], find: () => undefined });
    process.on('SIGTERM', () => process.exit(3));
    process.on('SIGINT', () => { throw new Error('a bug'); });
    setInterval(() => {}, 1000);
    console.log(server.path);
  `;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await using child = start([process.execPath, '--input-type=module', '-e', program]);
    const path = await child.waitForLine('.sock');
    t.true(existsSync(path));
    await child.stop(signal);
    t.false(existsSync(path));
  }
});

test.serial('the socket does not keep a process alive', async (t) => {
  const module = new URL('../../dist/control/server.js', import.meta.url).href;
  const program = `
    import { startControlServer } from '${module}';
    await startControlServer({ reports: () => [], find: () => undefined });
  `;
  await t.notThrowsAsync(run([process.execPath, '--input-type=module', '-e', program]));
});

test.serial('a process that does not answer is reported, and the others are shown', async (t) => {
  const stuck = await listenSilently('1.sock');
  const server = await startControlServer(hostOf(REPORT));
  const { replies, silent } = await surveyHere();
  t.is(replies.length, 1);
  t.like(silent, [{ path: join(directory.path, '1.sock'), error: { code: 'no-answer' } }]);
  await server.close();
  stuck.close();
});

const NONSENSE: readonly (readonly [what: string, line: string])[] = [
  ['no JSON', 'hello'],
  ['another document', '{"protocol":1,"tunnels":[]}'],
  ['invalid tunnels', JSON.stringify({ ...reply(), tunnels: [{ name: 'x' }] })],
  ['invalid statistics', JSON.stringify(reply()).replace('"packets":345678', '"packets":"many"')],
];

for (const [what, line] of NONSENSE) {
  test.serial(`a reply with ${what} is rejected`, async (t) => {
    const server = await answerAlways('1.sock', line);
    const { replies, silent } = await surveyHere();
    server.close();
    t.deepEqual(replies, []);
    t.regex(silent[0]?.error.message ?? '', /invalid reply/);
  });
}

test.serial('a reply of an older version, which lacks some statistics, is shown without them', async (t) => {
  const { socket, encap, decap } = STATS;
  const { receiveOverflow: _overflow, ...olderSocket } = socket;
  const { fragmented: _fragmented, drops: _drops, ...olderEncap } = encap;
  const { lastAt: _lastAt, ...olderDecap } = decap;
  const stats = { ...STATS, socket: olderSocket, encap: olderEncap, decap: olderDecap };
  const server = await answerAlways(
    '1.sock',
    JSON.stringify({ ...reply(), tunnels: [{ ...REPORT, stats }] }),
  );
  const { replies, silent } = await surveyHere();
  server.close();
  t.deepEqual(silent, []);
  const shown = replies[0]?.reply.tunnels[0]?.stats;
  t.is(shown?.socket.receiveOverflow, 0);
  t.is(shown?.encap.fragmented, 0);
  t.is(shown?.encap.drops['too-big'], 0);
  t.is(shown?.encap.packets, STATS.encap.packets);
  t.is(shown?.decap.lastAt, null);
});

test.serial('names in a reply cannot contain control sequences of terminals', async (t) => {
  const evil = reply({ ...REPORT, name: 'x\u001B[2Jy\u009B31m', remote: 'a\r\tb\nc' });
  const server = await answerAlways('1.sock', JSON.stringify(evil));
  const { replies } = await surveyHere();
  t.like(replies[0]?.reply.tunnels[0], { name: 'x\uFFFD[2Jy\uFFFD31m', remote: 'a\uFFFD\uFFFDb\nc' });
  server.close();
});

test.serial('nor can names of errors and reasons, and no text can change the text direction', async (t) => {
  const { socket, encap } = STATS;
  const stats = {
    ...STATS,
    socket: { ...socket, errors: { '\u001B]0;x\u0007': 1 } },
    encap: { ...encap, drops: { ...encap.drops, '\u001B[2J': 2 } },
  };
  const server = await answerAlways(
    '1.sock',
    JSON.stringify(reply({ ...REPORT, device: 'a\u202Eb', stats })),
  );
  const { replies } = await surveyHere();
  const [tunnel] = replies[0]?.reply.tunnels ?? [];
  t.deepEqual(tunnel?.stats?.socket.errors, { '\uFFFD]0;x\uFFFD': 1 });
  t.true(Object.hasOwn(tunnel?.stats?.encap.drops ?? {}, '\uFFFD[2J'));
  t.is(tunnel?.device, 'a\uFFFDb');
  server.close();
});

test.serial('an endless reply is not read forever', async (t) => {
  const server = await listen(
    '1.sock',
    createServer((socket) => {
      const flood = (): void => void (socket.write(Buffer.alloc(1_000_000, 'x')) && setImmediate(flood));
      socket.on('error', () => {}).on('drain', flood);
      flood();
    }),
  );
  const { silent } = await survey(20_000);
  t.true(silent.some(({ error }) => error.message.includes('a reply that is too long')));
  server.close();
});

function reply(...tunnels: ShowReply['tunnels']): ShowReply {
  return {
    protocol: PROTOCOL,
    process: {
      pid: 1,
      uid: 0,
      version: '0.1.0',
      startedAt: 0,
      config: null,
      networkNamespace: { inode: 1, name: null },
      http: null,
    },
    tunnels: tunnels.length === 0 ? [REPORT] : tunnels,
    values: [],
  };
}

function listenSilently(name: string): Promise<Server> {
  return listen(
    name,
    createServer((socket) => socket.on('error', () => {})),
  );
}

function answerAlways(name: string, line: string): Promise<Server> {
  return listen(
    name,
    createServer((socket) => socket.on('error', () => {}).end(`${line}\n`)),
  );
}

function listen(name: string, server: Server): Promise<Server> {
  return new Promise((resolve) => {
    server.listen(join(directory.path, name), () => resolve(server));
  });
}
