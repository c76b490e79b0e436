/** ECN and DSCP across a router that marks datagrams: RFC 6040 and RFC 2983. */
import test from 'ava';
import { protocolCounters } from '../../testbed/counters.ts';
import { internetChecksum } from '../../testbed/packet/checksum.ts';
import { whilePaused } from '../../testbed/paused.ts';
import type { CapturedPacket } from '../../testbed/probe.ts';
import { Capture, inject, sendDatagrams } from '../../testbed/probe.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { openPair, RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from './accounts.ts';
import { Conversation } from './conversation.ts';
import { inHex } from './in-hex.ts';

const FAMILIES = ['ipv4', 'ipv6'] as const;
/** By their value in the header; as nft(8) calls them. */
const ECN = ['not-ect', 'ect1', 'ect0', 'ce'] as const;
type Ecn = (typeof ECN)[number];

/** RFC 6040, figure 4: the field of the packet, then what becomes of it in each datagram. */
const FIGURE_4: Readonly<Record<Ecn, Readonly<Record<Ecn, Ecn | 'drop'>>>> = {
  'not-ect': { 'not-ect': 'not-ect', ect0: 'not-ect', ect1: 'not-ect', ce: 'drop' },
  ect0: { 'not-ect': 'ect0', ect0: 'ect0', ect1: 'ect1', ce: 'ce' },
  ect1: { 'not-ect': 'ect1', ect0: 'ect1', ect1: 'ect1', ce: 'ce' },
  ce: { 'not-ect': 'ce', ect0: 'ce', ect1: 'ce', ce: 'ce' },
};

/** DSCP 46. */
const EF = 0xb8;
const ETHERNET = 14;
const NO_ROUTER = new Error('the sites have no router');
const IP_HEADER = { ipv4: 20, ipv6: 40 } as const;

for (const outer of FAMILIES) {
  test.serial(`ECN and DSCP reach the datagrams, and marks the packets (${outer})`, async (t) => {
    await using sites = await createSites({ router: true });
    const { a: siteA, b: siteB, router } = sites;
    if (router === null) throw NO_ROUTER;
    const [a, b] = await openPair(sites, { outer, onlyA: { ecn: true, dscp: 'inherit' } });
    const conversations = FAMILIES.map((inner) => new Conversation(inner, siteA.inner));
    /** A packet of each family with each ECN field. */
    const packets = (): Buffer[] =>
      conversations.flatMap((talk) => ECN.map((_, field) => talk.udp({ tos: EF | field })));

    // What leaves: one octet and one label for each, though several wait to be sent.
    {
      await using capture = await Capture.start(router, 'vethA');
      const sent = packets();
      await whilePaused(a.process, () => inject(siteA, siteA.tun, sent));
      const datagrams = await waitFor('the datagrams', () => {
        const found = capture.packets('in').filter((packet) => isUdp(packet, outer));
        return found.length >= sent.length && found;
      });
      t.deepEqual(
        datagrams.map((packet) => tosOf(packet.bytes.subarray(ETHERNET))),
        sent.map(tosOf),
      );
      // The socket is connected again, which must not change what peers and routers tell tunnels apart by.
      await a.setRemote(socketAddress(siteB.outer[outer], 9000));
      await inject(siteA, siteA.tun, packets());
      const all = await waitFor('more datagrams', () => {
        const found = capture.packets('in').filter((packet) => isUdp(packet, outer));
        return found.length >= 2 * sent.length && found;
      });
      const flows = new Set(all.map((packet) => flowOf(packet, outer)));
      t.is(flows.size, 1, [...flows].join(', '));
      if (outer === 'ipv6') t.notRegex([...flows].join(''), /^label 0 /, 'the label is not 0');
    }

    // What arrives, whatever the router has made of the ECN field.
    await using atB = await Capture.start(siteB, siteB.tun);
    let before = 0;
    for (const field of ECN) {
      await markAs(router, outer, field);
      const sent = packets();
      await inject(siteA, siteA.tun, sent);
      const expected = sent.flatMap((packet) => {
        const now = FIGURE_4[ECN[tosOf(packet) & 3] ?? 'ce'][field];
        return now === 'drop' ? [] : [withTos(packet, EF | ECN.indexOf(now))];
      });
      const last = expected.at(-1) ?? Buffer.alloc(0);
      const arrived = await atB.until('in', last);
      t.deepEqual(inHex(arrived.slice(before)), inHex(expected), field);
      before = arrived.length;
    }
    const { decap } = await b.stats();
    t.is(decap.drops['ecn-illegal'], FAMILIES.length);
    t.is(decap.congestionMarks, 2 * FAMILIES.length);

    // A TCP sender hears of the congestion that the router has marked, and datagrams still share system calls.
    await markAs(router, outer, 'ce', 'capable');
    for (const site of [siteA, siteB]) await site.sysctl({ 'net.ipv4.tcp_ecn': 1 });
    const stream = await transferTcp({ from: siteA, to: siteB, address: siteB.inner.ipv4, bytes: 4 << 20 });
    t.deepEqual(stream.received, stream.sent);
    t.true(((await protocolCounters(siteA)).get('TcpExtTCPDeliveredCE') ?? 0) > 100);
    const { encap } = await closeAlone(t, a);
    const { decap: atEnd } = await closeAlone(t, b);
    t.true(encap.sends < encap.packets / 2, `${encap.sends} sends of ${encap.packets} packets`);
    t.true(atEnd.receives < atEnd.packets / 2, `${atEnd.receives} receives of ${atEnd.packets} packets`);
    t.is(atEnd.drops['ecn-illegal'], FAMILIES.length, 'no packet was marked that does not support it');
  });
}

test.serial('the tunnels of this kernel follow the same table (VXLAN)', async (t) => {
  await using sites = await createSites({ router: true });
  const { a, b, router } = sites;
  if (router === null) throw NO_ROUTER;
  const macs = { a: '02:00:00:00:00:0a', b: '02:00:00:00:00:0b' };
  for (const [near, far, mac] of [
    [a, b, macs.a],
    [b, a, macs.b],
  ] as const) {
    const ends = `local ${near.outer.ipv4} remote ${far.outer.ipv4} dstport 4789`;
    await near.ipBatch(
      `link add vxlan0 address ${mac} type vxlan id 7 ${ends} tos inherit`,
      'link set vxlan0 up',
    );
  }
  const ethernet = Buffer.from(`${macs.b}${macs.a}0800`.replaceAll(':', ''), 'hex');
  const talk = new Conversation('ipv4', a.inner);
  await using atB = await Capture.start(b, 'vxlan0');
  let before = 0;
  for (const field of ECN) {
    await markAs(router, 'ipv4', field);
    const sent = ECN.map((_, inner) => talk.udp({ tos: EF | inner }));
    await inject(
      a,
      'vxlan0',
      sent.map((packet) => Buffer.concat([ethernet, packet])),
    );
    const expected = ECN.map((inner) => FIGURE_4[inner][field]).filter((now) => now !== 'drop');
    const arrived = await atB.first('in', before + expected.length);
    const fields = arrived.slice(before).map(({ bytes }) => ECN[tosOf(bytes.subarray(ETHERNET)) & 3]);
    t.deepEqual(fields, expected, field);
    before = arrived.length;
  }
});

test.serial(
  'a kernel tunnel (ipip over FOU) as the peer copies marks too, where the kernel has it',
  async (t) => {
    await using sites = await createSites({ router: true });
    const { a: near, b: far, router } = sites;
    if (router === null) throw NO_ROUTER;
    const ends = `remote ${near.outer.ipv4} local ${far.outer.ipv4}`;
    const commands = [
      'ip fou add port 9000 ipproto 4',
      `ip link add fou0 type ipip ${ends} tos inherit encap fou encap-sport 9000 encap-dport 9000`,
    ];
    for (const command of commands) {
      const { status, stderr } = await far.runToEnd(command.split(' '));
      if (status === 0) continue;
      t.regex(stderr, /not found|Unknown device type|No such file|not supported/, command);
      t.log(`not run, for this kernel lacks FOU or ipip: ${command}`);
      return;
    }
    await far.ip('link', 'set', 'fou0', 'up');
    await using a = await RemoteTunnel.open(near, {
      device: near.tun,
      local: socketAddress(near.outer.ipv4, 9000),
      remote: socketAddress(far.outer.ipv4, 9000),
      ecn: true,
    });
    await markAs(router, 'ipv4', 'ce', 'capable');
    await using capture = await Capture.start(far, 'fou0');
    const packet = new Conversation('ipv4', near.inner).udp({ tos: ECN.indexOf('ect0') });
    await inject(near, near.tun, [packet]);
    const [arrived] = await capture.first('in', 1);
    t.is(arrived?.bytes.toString('hex'), withTos(packet, ECN.indexOf('ce')).toString('hex'));
    await closeAlone(t, a);
  },
);

test.serial('UDP over IPv6 without a checksum is accepted only where asked for', async (t) => {
  await using sites = await createSites();
  const [local, remote] = [socketAddress(sites.b.outer.ipv6, 9000), socketAddress(sites.a.outer.ipv6, 9000)];
  const talk = new Conversation('ipv4', sites.a.inner);
  await using atB = await Capture.start(sites.b, sites.b.tun);
  const arrivals = async (zeroChecksum6: boolean): Promise<readonly Buffer[]> => {
    await using b = await RemoteTunnel.open(sites.b, { device: sites.b.tun, local, remote, zeroChecksum6 });
    const before = atB.packets('in').length;
    const [unchecked, checked] = [talk.udp(), talk.udp()];
    await sendDatagrams(sites.a, remote, local, [{ bytes: unchecked }], { checksums: false });
    await sendDatagrams(sites.a, remote, local, [{ bytes: checked }]);
    const arrived = (await atB.until('in', checked)).slice(before);
    t.deepEqual(inHex(arrived), inHex(zeroChecksum6 ? [unchecked, checked] : [checked]));
    await closeAlone(t, b);
    return arrived;
  };
  await arrivals(false);
  t.is((await protocolCounters(sites.b)).get('Udp6InCsumErrors'), 1, 'where the kernel counts it');
  await arrivals(true);
  t.is((await protocolCounters(sites.b)).get('Udp6InCsumErrors'), 1);
});

/** Has the router give what comes from `a` this ECN field: all of it, or what supports ECN. */
async function markAs(
  router: Site,
  outer: Family,
  field: Ecn,
  which: 'all' | 'capable' = 'all',
): Promise<void> {
  const ip = outer === 'ipv4' ? 'ip' : 'ip6';
  const condition = which === 'all' ? '' : `${ip} ecn != not-ect`;
  await router.run(['nft', '-f', '-'], {
    input: `
      table inet marks
      delete table inet marks
      table inet marks {
        chain forward {
          type filter hook forward priority 0;
          iifname "vethA" meta l4proto udp ${condition} ${ip} ecn set ${field}
        }
      }`,
  });
}

/** Of an Ethernet frame. */
function isUdp({ bytes }: CapturedPacket, family: Family): boolean {
  const isFamily = bytes.readUInt16BE(12) === (family === 'ipv4' ? 0x0800 : 0x86dd);
  return isFamily && bytes.readUInt8(ETHERNET + (family === 'ipv4' ? 9 : 6)) === 17;
}

/** What ECMP and receive queues tell flows apart by, of an Ethernet frame. */
function flowOf({ bytes }: CapturedPacket, family: Family): string {
  const ip = bytes.subarray(ETHERNET);
  const label = family === 'ipv6' ? ip.readUInt32BE(0) & 0xf_ffff : 0;
  const [from, to] = [0, 2].map((at) => ip.readUInt16BE(IP_HEADER[family] + at));
  return `label ${label} ports ${from} ${to}`;
}

function tosOf(packet: Buffer): number {
  return packet.readUInt8(0) >> 4 === 4 ? packet.readUInt8(1) : (packet.readUInt16BE(0) >> 4) & 0xff;
}

function withTos(packet: Buffer, tos: number): Buffer {
  const changed = Buffer.from(packet);
  if (packet.readUInt8(0) >> 4 === 4) {
    changed.writeUInt8(tos, 1);
    changed.writeUInt16BE(0, 10);
    changed.writeUInt16BE(internetChecksum(changed.subarray(0, 20)), 10);
  } else {
    changed.writeUInt16BE(0x6000 | (tos << 4) | (packet.readUInt8(1) & 0xf), 0);
  }
  return changed;
}
