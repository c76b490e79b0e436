import { existsSync } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import test from 'ava';
import { startControlServer } from '../../src/control/server.ts';
import type { ControlServer } from '../../src/control/server.ts';
import { TtunError } from '../../src/errors.ts';
import type { OpenTunnel } from '../../src/open-tunnel.ts';
import type { TunnelHost } from '../../src/tunnel-host.ts';
import { waitFor } from '../../testbed/wait.ts';
import { hostOf, REPORT } from './host.ts';
import { answers, ask, connect, nextLine } from './raw-client.ts';
import { RuntimeDirectory } from './runtime-directory.ts';

const SHOW = '{"protocol":1,"request":"show"}\n';

let directory: RuntimeDirectory;
test.before(async () => {
  directory = await RuntimeDirectory.use();
});
test.after.always(() => directory[Symbol.asyncDispose]());

async function withServer(
  host: TunnelHost,
  body: (server: ControlServer) => Promise<void>,
  settings: { config?: string } = {},
): Promise<void> {
  const server = await startControlServer(host, settings);
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

test.serial('show describes the process and its tunnels', async (t) => {
  await withServer(
    hostOf(REPORT),
    async ({ path }) => {
      const [reply] = await ask(path, SHOW);
      const { ino } = await stat('/proc/self/ns/net');
      t.like(reply, {
        protocol: 1,
        process: {
          pid: process.pid,
          uid: 0,
          version: '0.1.0',
          config: '/etc/ttun/office.toml',
          networkNamespace: { inode: ino },
        },
        tunnels: [REPORT],
      });
    },
    { config: '/etc/ttun/office.toml' },
  );
});

test.serial(
  'the socket is named after the process, is accessible to its owner only, and is removed with the server',
  async (t) => {
    let path = '';
    await withServer(hostOf(), async (server) => {
      ({ path } = server);
      t.is(path, `${directory.path}/${process.pid}.sock`);
      t.is((await lstat(path)).mode & 0o777, 0o600);
      t.is((await lstat(directory.path)).mode & 0o777, 0o700);
    });
    t.false(existsSync(path));
  },
);

test.serial('requests on one connection are answered in order', async (t) => {
  await withServer(hostOf(REPORT), async ({ path }) => {
    const replies = await ask(path, `${SHOW}\n  \n{"protocol":1,"request":"reload"}\r\n${SHOW.trim()}`);
    t.is(replies.length, 3);
    t.like(replies[0], { tunnels: [REPORT] });
    t.like(replies[1], { error: { code: 'no-configuration' } });
    t.like(replies[2], { tunnels: [REPORT] });
  });
});

const WRONG: readonly (readonly [what: string, line: string, code: string, message: RegExp])[] = [
  ['no JSON', 'show', 'invalid-request', /not a JSON object/],
  ['bytes that are not text', '\xff\xfe\x00', 'invalid-request', /not a JSON object/],
  ['JSON that is not an object', '[1]', 'invalid-request', /not a JSON object/],
  ['no protocol', '{"request":"show"}', 'unsupported-protocol', /has no protocol version/],
  [
    'another protocol',
    '{"protocol":2,"request":"show"}',
    'unsupported-protocol',
    /protocol version 1, not 2/,
  ],
  ['no request', '{"protocol":1}', 'unknown-request', /no name/],
  ['an unknown request', '{"protocol":1,"request":"stop"}', 'unknown-request', /no request "stop"/],
  ['one parameter too many', '{"protocol":1,"request":"show","name":"x"}', 'invalid-request', /"name"/],
  ['no tunnel', '{"protocol":1,"request":"capture"}', 'invalid-request', /"tunnel"/],
  [
    'an unknown tunnel',
    '{"protocol":1,"request":"capture","tunnel":"x"}',
    'unknown-tunnel',
    /this process has office/,
  ],
  ['a closed tunnel', '{"protocol":1,"request":"capture","tunnel":"office"}', 'tunnel-not-open', /not open/],
  ['a snap length of 0', capture('"snapLength":0'), 'invalid-request', /from 1 to 65535/],
  ['half a packet', capture('"count":0.5'), 'invalid-request', /"count"/],
  ['a third direction', capture('"direction":"up"'), 'invalid-request', /"in" or "out"/],
  ['a misspelt parameter', capture('"snaplen":96'), 'invalid-request', /"snaplen"/],
  ['no tunnel to measure', '{"protocol":1,"request":"measure-path"}', 'invalid-request', /"tunnel"/],
  [
    'an address that is a number',
    measure('"address":10'),
    'invalid-request',
    /"address" must be an IP address/,
  ],
  ['a parameter that is not for measuring', measure('"count":1'), 'invalid-request', /"count"/],
  ['a closed tunnel to measure', measure('"address":"10.0.2.2"'), 'tunnel-not-open', /not open/],
];

function capture(parameter: string): string {
  return `{"protocol":1,"request":"capture","tunnel":"office",${parameter}}`;
}

function measure(parameter: string): string {
  return `{"protocol":1,"request":"measure-path","tunnel":"office",${parameter}}`;
}

for (const [what, line, code, message] of WRONG) {
  test.serial(`${what} gives an error, and the next request is answered as usual`, async (t) => {
    await withServer(hostOf(REPORT), async ({ path }) => {
      const [wrong, right] = await ask(path, `${line}\n${SHOW}`);
      t.like(wrong, { protocol: 1, error: { code } });
      t.regex(JSON.stringify(wrong).replaceAll('\\"', '"'), message);
      t.like(right, { tunnels: [REPORT] });
    });
  });
}

test.serial('a line that does not end gives an error, and the connection is closed', async (t) => {
  await withServer(hostOf(), async ({ path }) => {
    const replies = await ask(path, Buffer.alloc(10_000_000, 'x'));
    t.is(replies.length, 1);
    t.like(replies[0], { error: { code: 'line-too-long' } });
    t.like(await ask(path, SHOW), [{ protocol: 1 }]);
  });
});

test.serial('half a line, or a client that disconnects, does not affect other clients', async (t) => {
  await withServer(hostOf(), async ({ path }) => {
    const half = await connect(path);
    half.write('{"protocol":1,');
    const rude = await connect(path);
    rude.write(SHOW.repeat(100));
    rude.destroy();
    t.like(await ask(path, SHOW), [{ protocol: 1 }]);
    half.write('"request":"show"}\n');
    t.like(await nextLine(half), { protocol: 1 });
    half.destroy();
  });
});

test.serial('a client that never reads its replies costs little memory, and others are served', async (t) => {
  const large = Array.from({ length: 1000 }, (_, index) => ({ ...REPORT, name: `tunnel${index}` }));
  let asked = 0;
  const host: TunnelHost = {
    reports: () => {
      asked += 1;
      return large;
    },
    find: () => undefined,
  };
  await withServer(host, async ({ path }) => {
    const greedy = await connect(path);
    greedy.pause();
    greedy.write(SHOW.repeat(1000));
    await waitFor('the first answer to be on its way', () => asked > 0);
    t.like(await ask(path, SHOW), [{ protocol: 1 }]);
    // One reply to us, and as many to that client as fit in socket buffers, which is less than two.
    t.true(asked <= 3, `${asked} answers were made`);
    greedy.destroy();
  });
});

test.serial('the number of clients is limited, and one more gets an error', async (t) => {
  await withServer(hostOf(), async ({ path }) => {
    const clients = [];
    for (let index = 0; index < 32; index += 1) clients.push(await connect(path));
    t.like(await answers(await connect(path)), [{ error: { code: 'too-many-clients' } }]);
    clients[0]?.write(SHOW);
    if (clients[0] !== undefined) t.like(await nextLine(clients[0]), { protocol: 1 });
    for (const client of clients) client.destroy();
    await waitFor('room for another', async () => {
      const [reply] = await ask(path, SHOW);
      return reply !== undefined && Object.hasOwn(Object(reply), 'process');
    });
  });
});

test.serial('reload reports the changes, or the problems', async (t) => {
  const changes = { added: ['a'], changed: [], removed: ['b'], unchanged: ['c'], restored: {} };
  let isBroken = false;
  const host: TunnelHost = {
    ...hostOf(),
    reload: () =>
      isBroken
        ? Promise.reject(new TtunError('ERR_TTUN_INVALID_OPTIONS', 'line 3: no', { hint: 'mend it' }))
        : Promise.resolve(changes),
  };
  await withServer(host, async ({ path }) => {
    const reload = '{"protocol":1,"request":"reload"}';
    t.deepEqual(await ask(path, reload), [{ protocol: 1, reload: changes }]);
    isBroken = true;
    const error = { code: 'ERR_TTUN_INVALID_OPTIONS', message: 'line 3: no', hint: 'mend it' };
    t.deepEqual(await ask(path, reload), [{ protocol: 1, error }]);
  });
});

test.serial('the tunnel measures its path, and says why it cannot', async (t) => {
  const path = { address: '10.0.2.2', requests: 20, answers: 20 };
  const asked: unknown[] = [];
  const tunnel = {
    stats: () => ({ state: 'up' }),
    measurePath: (options: { readonly address?: string }) => {
      asked.push(options);
      if (options.address !== undefined) return Promise.resolve(path);
      return Promise.reject(new TtunError('ERR_TTUN_INVALID_OPTIONS', 'which?', { hint: 'say it' }));
    },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part of a tunnel that the request needs
  const host: TunnelHost = { ...hostOf(REPORT), find: () => tunnel as unknown as OpenTunnel };
  await withServer(host, async ({ path: socket }) => {
    t.deepEqual(await ask(socket, measure('"address":"10.0.2.2"')), [{ protocol: 1, path }]);
    const error = { code: 'ERR_TTUN_INVALID_OPTIONS', message: 'which?', hint: 'say it' };
    t.deepEqual(await ask(socket, measure('"address":null')), [{ protocol: 1, error }]);
    t.deepEqual(asked, [{ address: '10.0.2.2' }, {}]);
  });
});

test.serial('an internal error is reported as one', async (t) => {
  const host: TunnelHost = {
    reports: () => {
      throw new RangeError('out of luck');
    },
    find: () => undefined,
  };
  await withServer(host, async ({ path }) => {
    t.like(await ask(path, SHOW), [{ error: { code: 'internal', message: 'out of luck' } }]);
  });
});

test.serial('closing the server ends the connections of waiting clients', async (t) => {
  const server = await startControlServer(hostOf());
  const client = await connect(server.path);
  const ended = answers(client);
  await server.close();
  t.deepEqual(await ended, []);
});
