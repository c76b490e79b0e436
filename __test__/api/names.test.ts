import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { RemoteTunnel } from '../../testbed/tunnel.ts';
import { runInSite } from './in-site.ts';
import { SiteNames } from '../../testbed/site-names.ts';

let sites: Sites;
let names: SiteNames;
test.before(async () => {
  sites = await createSites();
  names = await SiteNames.of(sites.a);
  // The peer may be at either of two addresses.
  await sites.b.ip('address', 'add', '10.0.1.3/24', 'dev', sites.b.veth);
});
test.after.always(async () => {
  await sites[Symbol.asyncDispose]();
  await names[Symbol.asyncDispose]();
});

/** Makes the clock that measures silence a hundred times as fast; the packet path has its own clock. */
const HASTE = `
  const now = performance.now.bind(performance);
  performance.now = () => now() * 100;
`;

const OPEN_BY_NAME = `
  const named = { ...options, remote: 'gateway.example:9000' };
  const onWaiting = ({ code, message, hint }) => report([code, message, hint]);
`;

const PEER_AT_3 = { device: 'tun0', local: '10.0.1.3:9000', remote: '10.0.1.1:9000' };

test.serial('a peer may be given by name, and the statistics have its address', async (t) => {
  await names.set({ 'gateway.example': ['10.0.1.3'] });
  await using peer = await RemoteTunnel.open(sites.b, PEER_AT_3);
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    import { execFileSync } from 'node:child_process';
    const tunnel = await createTunnel(named, { onWaiting });
    execFileSync('ping', ['-c', '1', '${sites.b.inner.ipv4}']);
    const { state, socket } = tunnel.stats();
    report([state, socket.remote]);
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, [['up', '10.0.1.3:9000']]);
  t.is((await peer.stats()).decap.packets, 1);
});

test.serial('a name that cannot be resolved yet is retried, and the reason is reported once', async (t) => {
  await names.set({});
  const reported = runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    import { appendFileSync } from 'node:fs';
    const tunnel = await createTunnel(named, {
      onWaiting(reason) {
        onWaiting(reason);
        // By now the network of this host is there.
        appendFileSync('/etc/hosts', '10.0.1.3 gateway.example\\n');
      },
    });
    report(tunnel.stats().socket.remote);
    await tunnel.close();
    `,
  );
  t.deepEqual(await reported, [
    [
      'ERR_TTUN_NAME_NOT_RESOLVED',
      'gateway.example: no IPv4 address found',
      'look it up with: getent ahosts gateway.example',
    ],
    '10.0.1.3:9000',
  ]);
});

test.serial('an aborted signal ends the wait for a name with its reason', async (t) => {
  await names.set({});
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    const controller = new AbortController();
    const settings = { signal: controller.signal, onWaiting: () => controller.abort(new Error('enough')) };
    await createTunnel(named, settings).catch(({ message }) => report(message));
    const tunnel = await createTunnel(options);
    await tunnel.close();
    report('device and port are free');
    `,
  );
  t.deepEqual(reported, ['enough', 'device and port are free']);
});

test.serial('the local address determines the family; without one, the resolver does', async (t) => {
  await names.set({ 'gateway.example': ['fd00:1::2', '10.0.1.3'] });
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    for (const local of ['10.0.1.1:9000', '[fd00:1::1]:9000', ':9000']) {
      const tunnel = await createTunnel({ ...named, local });
      const { socket } = tunnel.stats();
      report([local, socket.local, socket.remote]);
      await tunnel.close();
    }
    `,
  );
  t.deepEqual(reported.slice(0, 2), [
    ['10.0.1.1:9000', '10.0.1.1:9000', '10.0.1.3:9000'],
    ['[fd00:1::1]:9000', '[fd00:1::1]:9000', '[fd00:1::2]:9000'],
  ]);
  // Which of the two is tried first is the system's choice (RFC 6724, gai.conf).
  t.regex(String(Object(reported[2])[2]), /^(?:10\.0\.1\.3|\[fd00:1::2\]):9000$/);
});

test.serial('addresses that no peer can have are skipped', async (t) => {
  await names.set({ 'gateway.example': ['0.0.0.0', '224.0.0.1', '10.0.1.1', '10.0.1.3'] });
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    const tunnel = await createTunnel(named, { onWaiting });
    report(tunnel.stats().socket.remote);
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, ['10.0.1.3:9000']);
});

test.serial('a name without a usable address is retried, and the reason is reported', async (t) => {
  await names.set({ 'gateway.example': ['0.0.0.0'] });
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    const controller = new AbortController();
    const settings = { signal: controller.signal, onWaiting(reason) { report(reason.message); controller.abort(); } };
    await createTunnel(named, settings).catch(({ name }) => report(name));
    `,
  );
  t.deepEqual(reported, [
    'gateway.example has no usable address: 0.0.0.0 is not the address of a host',
    'AbortError',
  ]);
});

test.serial('a missing name server is reported as such', async (t) => {
  await using own = await createSites();
  await using dead = await SiteNames.of(own.a, 'dead');
  const reported = await runInSite(
    own.a,
    `${OPEN_BY_NAME}
    const controller = new AbortController();
    const settings = { signal: controller.signal, onWaiting(reason) { report(reason.message); controller.abort(); } };
    await createTunnel(named, settings).catch(() => {});
    `,
  );
  t.deepEqual(reported, ['gateway.example: no name server answered']);
  await dead.set({});
});

test.serial('a peer that moved is found again by its name while there is traffic', async (t) => {
  await names.set({ 'gateway.example': ['10.0.1.2'] });
  await using peer = await RemoteTunnel.open(sites.b, PEER_AT_3);
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}${HASTE}
    import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    import { writeFileSync } from 'node:fs';
    const tunnel = await createTunnel(named);
    const ping = spawn('ping', ['-i', '0.1', '${sites.b.inner.ipv4}']);
    writeFileSync('/etc/hosts', '10.0.1.3 gateway.example\\n');
    const [peer, up] = await Promise.all([once(tunnel, 'peer'), once(tunnel, 'state')]);
    report(peer);
    report(up);
    report(tunnel.stats().socket.remote);
    ping.kill();
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, [['10.0.1.3:9000', '10.0.1.2:9000'], ['up', 'waiting'], '10.0.1.3:9000']);
  t.true((await peer.stats()).decap.packets > 0);
});

test.serial(
  'a listener that throws is called once when the peer moved, and its exception is uncaught',
  async (t) => {
    await names.set({ 'gateway.example': ['10.0.1.2'] });
    await using peer = await RemoteTunnel.open(sites.b, PEER_AT_3);
    const reported = await runInSite(
      sites.a,
      `${OPEN_BY_NAME}${HASTE}
    import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    import { writeFileSync } from 'node:fs';
    const tunnel = await createTunnel(named);
    const ping = spawn('ping', ['-i', '0.1', '${sites.b.inner.ipv4}']);
    process.on('uncaughtException', ({ message }) => report(message));
    tunnel.on('peer', (remote) => {
      throw new Error('a bug when the peer is at ' + remote);
    });
    writeFileSync('/etc/hosts', '10.0.1.3 gateway.example\\n');
    await once(tunnel, 'state');
    ping.kill();
    await tunnel.close();
    `,
    );
    t.deepEqual(reported, ['a bug when the peer is at 10.0.1.3:9000']);
    t.true((await peer.stats()).decap.packets > 0);
  },
);

test.serial('of several addresses, the one that answers is found', async (t) => {
  await names.set({ 'gateway.example': ['10.0.1.4', '10.0.1.3', '10.0.1.5'] });
  await using peer = await RemoteTunnel.open(sites.b, PEER_AT_3);
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}${HASTE}
    import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    const tunnel = await createTunnel(named);
    const ping = spawn('ping', ['-i', '0.1', '${sites.b.inner.ipv4}']);
    await once(tunnel, 'state');
    report([tunnel.state, tunnel.stats().socket.remote]);
    ping.kill();
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, [['up', '10.0.1.3:9000']]);
  t.true((await peer.stats()).decap.packets > 0);
});

test.serial("an un-ref'd tunnel to a name does not keep the process alive", async (t) => {
  await names.set({ 'gateway.example': ['10.0.1.3'] });
  const reported = await runInSite(
    sites.a,
    `${OPEN_BY_NAME}
    const tunnel = await createTunnel(named);
    tunnel.unref();
    setTimeout(() => { report('kept alive'); process.exit(); }, 1000).unref();
    `,
  );
  t.deepEqual(reported, []);
});
