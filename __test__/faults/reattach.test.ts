/** Devices that are deleted under a tunnel that waits for them. */
import test from 'ava';
import { inject } from '../../testbed/probe.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { TcpTransfer } from '../../testbed/traffic/tcp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from '../traffic/accounts.ts';
import { Conversation } from '../traffic/conversation.ts';

const LOST = 100;
const BYTES = 256 * 2 ** 20;
const BEGUN = 8 * 2 ** 20;

/** Makes the device of a site as it was. */
async function makeDevice(site: Site): Promise<void> {
  await site.ipBatch(
    `tuntap add dev ${site.tun} mode tun`,
    `link set ${site.tun} mtu 1452`,
    `address add ${site.inner.ipv4}/24 dev ${site.tun}`,
    `address add ${site.inner.ipv6}/64 dev ${site.tun} nodad`,
    `link set ${site.tun} up`,
  );
}

test.serial('packets for a deleted device are counted, and flow again when it reappears', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites, { onlyB: { reattach: true } });
  t.true((await ping(sites.a, sites.b.inner.ipv4)).received > 0);
  const before = await b.stats();

  await sites.b.ip('link', 'delete', sites.b.tun);
  await waitFor('the loss to be noticed', async () => (await b.problem()) === 'ERR_TTUN_DEVICE_GONE');
  const conversation = new Conversation('ipv4', sites.a.inner);
  const packets = Array.from({ length: LOST }, () => conversation.udp());
  await inject(sites.a, sites.a.tun, packets);
  await waitFor('them to be dropped', async () => (await b.stats()).decap.drops['device-down'] === LOST);
  const meanwhile = await b.stats();
  t.is(meanwhile.state, 'waiting');
  t.is(meanwhile.device.index, 0);
  t.is(meanwhile.device.mtu, 0);

  await makeDevice(sites.b);
  await waitFor('the tunnel to go on', async () => (await b.problem()) === null);
  for (const address of Object.values(sites.b.inner)) {
    t.true((await ping(sites.a, address, { count: 10 })).received >= 10, address);
  }
  const after = await b.stats();
  t.is(after.state, 'up');
  t.not(after.device.index, before.device.index);
  t.is(after.device.mtu, 1452);
  t.deepEqual(after.device.offload, before.device.offload);

  const { decap } = await closeAlone(t, b);
  t.is(decap.dropped, LOST);
  await closeAlone(t, a);
});

test.serial('a TCP stream survives when the device is deleted and recreated at either end', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites, { options: { reattach: true } });
  // Connections belong to their addresses, which go with the device for a moment only.
  await using transfer = await TcpTransfer.start({
    from: sites.a,
    to: sites.b,
    address: sites.b.inner.ipv4,
    bytes: BYTES,
  });
  for (const [index, [site, tunnel]] of (
    [
      [sites.b, b],
      [sites.a, a],
    ] as const
  ).entries()) {
    await waitFor('the stream to flow', async () => (await transfer.received()) > BEGUN * (index + 1));
    await site.ip('link', 'delete', site.tun);
    await waitFor('the loss to be noticed', async () => (await tunnel.problem()) !== null);
    await makeDevice(site);
    await waitFor('the tunnel to go on', async () => (await tunnel.problem()) === null);
  }
  const { sent, received } = await transfer.done;
  t.deepEqual(received, sent);
  for (const tunnel of [a, b]) {
    const { decap } = await closeAlone(t, tunnel);
    t.is(decap.dropped, decap.drops['device-down']);
  }
});

test.serial('a device that the tunnel created is recreated at once, with all its settings', async (t) => {
  await using sites = await createSites();
  await sites.b.ip('link', 'delete', sites.b.tun);
  const { ipv4, ipv6 } = sites.b.inner;
  const made = { create: true, addresses: [`${ipv4}/24`, `${ipv6}/64`], mtu: 'auto' } as const;
  const [, b] = await openPair(sites, { onlyB: { reattach: true, interface: made } });
  const works = async (): Promise<void> => {
    for (const address of [ipv4, ipv6]) t.true((await ping(sites.a, address, { count: 5 })).received >= 5);
    t.is((await b.stats()).device.mtu, 1472);
  };
  await works();
  for (let time = 0; time < 2; time += 1) {
    const { index } = (await b.stats()).device;
    await sites.b.ip('link', 'delete', sites.b.tun);
    await waitFor('another device', async () => ![0, index].includes((await b.stats()).device.index));
    await works();
  }
  await closeAlone(t, b);
  t.notRegex(await sites.b.ip('link', 'show'), /tun0/);
});
