/** The probe, compared with ping, and through everything that happens to a tunnel. */
import test from 'ava';
import { Capture, Relay } from '../../testbed/probe.ts';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { BIN, openPair, RemoteTunnel, socketAddress, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

const PORT = 9000;
const PINGS = 20;
/** One way. */
const DELAY_MS = 15;

/** Where the identifier of an ICMP message is in a packet. */
const IDENTIFIER_AT = { ipv4: 24, ipv6: 44 } as const;

/** The outer family is the other one. */
const FAMILIES: readonly (readonly [inner: Family, outer: Family])[] = [
  ['ipv4', 'ipv6'],
  ['ipv6', 'ipv4'],
];

for (const [inner, outer] of FAMILIES) {
  test(`the probe measures what ping measures, and leaves the packets of the tunnel alone (${inner} over ${outer})`, async (t) => {
    await using sites = await createSites();
    const [a, b] = [sites.a.outer[outer], sites.b.outer[outer]];
    await using relay = await Relay.start(
      sites.b,
      [
        [socketAddress(b, 7000), socketAddress(a, PORT)],
        [socketAddress(b, 7001), socketAddress(b, PORT)],
      ],
      DELAY_MS,
    );
    await using far = await RemoteTunnel.open(sites.b, {
      device: sites.b.tun,
      local: socketAddress(b, PORT),
      remote: socketAddress(b, 7001),
    });
    await using atA = await Capture.start(sites.a, sites.a.tun);
    await using atB = await Capture.start(sites.b, sites.b.tun);
    await using near = await RemoteTunnel.open(sites.a, {
      device: sites.a.tun,
      local: socketAddress(a, PORT),
      remote: socketAddress(b, 7000),
      probe: { address: sites.b.inner[inner], interval: '20ms' },
    });
    const [first] = await atB.first('in', 1);
    const identifier = first?.bytes.readUInt16BE(IDENTIFIER_AT[inner]) ?? 0;

    // Another program that happens to have the identifier of the probe gets its own replies.
    const command = ['ping', '-n', '-e', `${identifier}`, '-i', '0.02', '-c', `${PINGS}`];
    let pings = 0;
    // The two see different moments of a machine that may be busy.
    await waitFor('both to have the same median', async () => {
      const { stdout } = await sites.a.run([...command, sites.b.inner[inner]], { env: { LC_ALL: 'C' } });
      const times = [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
      pings += times.length;
      const median = times.sort((one, other) => one - other)[PINGS / 2] ?? 0;
      const { p50 } = (await near.stats()).probe.rttMs;
      return Math.abs(Number(p50) - median) < median / 10;
    });
    const { probe, encap, decap, state } = await near.stats();
    t.is(state, 'up');
    t.true(probe.received >= PINGS, `${probe.received}`);
    const { min, p50, p99, max } = probe.rttMs;
    t.true(Number(min) >= 2 * DELAY_MS && Number(min) <= Number(p50) && Number(p99) <= Number(max));
    t.is(probe.loss, 0);
    t.deepEqual([encap.packets, decap.packets, decap.received], [pings, pings, pings]);
    t.is((await atA.first('in', pings)).length, pings, 'no reply to a probe reaches the device');

    await relay.lose(true);
    await waitFor('the peer to be missed', async () => (await near.stats()).state === 'waiting');
    await relay.lose(false);
    await waitFor('the peer to be back', async () => (await near.stats()).state === 'up');
    t.is((await far.stats()).probe.address, null);
  });
}

test('a probe goes on while the device is down, deleted and back, and waits for an address', async (t) => {
  await using sites = await createSites();
  const { ipv4: own } = sites.a.inner;
  await sites.a.ip('address', 'delete', `${own}/24`, 'dev', sites.a.tun);
  const probe = { address: sites.b.inner.ipv4, interval: 20 };
  const [a, b] = await openPair(sites, { onlyA: { probe, reattach: true } });
  const answered = async (): Promise<number> => (await a.stats()).probe.received;
  const more = async (what: string): Promise<void> => {
    const before = await answered();
    await waitFor(`answers ${what}`, async () => (await answered()) > before + 3);
  };
  t.is(await a.problem(), 'ERR_TTUN_ADDRESS_NOT_LOCAL');
  t.regex((await a.hint()) ?? '', /ip addr add .* dev tun0$/);
  t.like((await a.stats()).probe, { address: probe.address, source: null, sent: 0 });

  await sites.a.ip('address', 'add', `${own}/24`, 'dev', sites.a.tun);
  await more('from the new address');
  t.is(await a.problem(), null);
  t.is((await a.stats()).probe.source, own);

  await sites.a.ip('link', 'set', sites.a.tun, 'down');
  await more('while the device is down');
  await sites.a.ip('link', 'delete', sites.a.tun);
  await waitFor('the loss to be noticed', async () => (await a.problem()) === 'ERR_TTUN_DEVICE_GONE');
  await more('while there is no device');
  t.is((await a.stats()).decap.received, 0);
  await sites.a.ipBatch(
    `tuntap add dev ${sites.a.tun} mode tun`,
    `address add ${own}/24 dev ${sites.a.tun}`,
    `link set ${sites.a.tun} up`,
  );
  await waitFor('the tunnel to go on', async () => (await a.problem()) === null);
  await more('with the new device');
  t.true((await ping(sites.a, sites.b.inner.ipv4)).received > 0);

  // Another peer: the window continues.
  const before = await answered();
  await b.close();
  await using other = await RemoteTunnel.open(sites.b, {
    device: sites.b.tun,
    local: socketAddress(sites.b.outer.ipv4, PORT + 1),
    remote: socketAddress(sites.a.outer.ipv4, PORT),
  });
  await a.setRemote(socketAddress(sites.b.outer.ipv4, PORT + 1));
  await more('from another peer');
  t.true((await answered()) > before);
  t.is((await other.stats()).state, 'up');
});

test('an address of this host is not probed, and a device without an address is reported', async (t) => {
  await using sites = await createSites();
  const { outer, inner, tun } = sites.a;
  const ends = [tun, outer.ipv4, `${PORT}`, sites.b.outer.ipv4, `${PORT}`];
  for (const address of [inner.ipv4, inner.ipv6, outer.ipv4]) {
    const { status, stderr } = await sites.a.runToEnd([process.execPath, BIN, '--probe', address, ...ends]);
    t.is(status, 2);
    t.is(
      stderr,
      `ttun: ${address}, which is to be probed, is an address of this host; give an address of the peer, inside the tunnel (see ttun --help)\n`,
    );
  }
  await sites.a.ip('address', 'flush', 'dev', tun, 'scope', 'global');
  for (const [address, family] of [
    [sites.b.inner.ipv4, 'IPv4'],
    [sites.b.inner.ipv6, 'IPv6'],
  ] as const) {
    await using tunnel = startTtun(sites.a, ['--probe', address, ...ends]);
    const said = `${address} cannot be probed: the device ${tun} has no ${family} address; probes start when it has one: ip addr add`;
    await t.notThrowsAsync(tunnel.waitForLine(said));
    await tunnel.stop('SIGINT');
  }
});

test('on the command line, the closing summary has what the probe measured', async (t) => {
  await using sites = await createSites();
  const [near, far] = [sites.a.outer.ipv6, sites.b.outer.ipv6];
  const port = `${PORT}`;
  await using peer = startTtun(sites.b, ['-q', sites.b.tun, far, port, near, port]);
  await peer.waitForLine('attached');
  const probe = ['--probe', sites.b.inner.ipv6, '--probe-interval=10ms', '--probe-size', '1400'];
  await using tunnel = startTtun(sites.a, ['-q', ...probe, sites.a.tun, near, port, far, port]);
  await tunnel.waitForLine('attached');
  // Both ends hear each other, although no program sends anything.
  await using capture = await Capture.start(sites.b, sites.b.tun);
  for (const { bytes } of await capture.first('in', 5)) t.is(bytes.length, 1400);
  t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
  t.regex(
    tunnel.stdout + tunnel.stderr,
    /probe of fd00:2::2: \d+ sent, [1-9]\d* answered, 0 lost; round trip /,
  );
  t.regex(tunnel.stdout + tunnel.stderr, /sent: 0 packets, 0 bytes, none dropped/);
});
