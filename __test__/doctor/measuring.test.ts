/** `ttun doctor --path` on real paths, which a router makes bad. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { socketAddress, startTtun } from '../../testbed/tunnel.ts';
import type { FindingCode } from '../../src/doctor/finding.ts';
import { find, Patient } from './patient.ts';
import type { Examination } from './patient.ts';

/** What is right with the tunnel, and what is wrong. */
function said({ findings }: Examination): string {
  return findings.map(({ code, what }) => `${code ?? 'ok'}: ${what}`).join('\n');
}

for (const { outer, inner, overhead, tooBig, host } of [
  { outer: 'ipv4', inner: 'ipv6', overhead: 28, tooBig: 'icmp type destination-unreachable', host: '/32' },
  { outer: 'ipv6', inner: 'ipv4', overhead: 48, tooBig: 'icmpv6 type packet-too-big', host: '/128' },
] as const) {
  test(`a path is measured over ${outer}, with ${inner} inside`, async (t) => {
    await using sites = await createSites({ router: true, tunMtu: 1500 - overhead });
    const { a, b, router } = sites;
    await using patient = await Patient.in(a);
    const [here, there] = [a, b].map((site) => socketAddress(site.outer[outer], 9000));
    const file = await patient.configure(
      `[tunnels.office]\ndevice = "tun0"\nlocal = "${here}"\nremote = "${there}"\n`,
    );
    await using service = startTtun(a, ['up', '-c', file]);
    const ends = [a, b].map((site) => [site.outer[outer], '9000']);
    await using peer = startTtun(b, ['-q', b.tun, ...(ends[1] ?? []), ...(ends[0] ?? [])]);
    await peer.waitForLine('attached to');
    await patient.sh(`until ls /run/ttun/${service.pid}.sock; do :; done`);
    const measure = (): Promise<Examination> => patient.examine(['--path', a.tun, b.inner[inner]]);

    if (outer === 'ipv4') assertClean(t, await measure(), b.inner[inner], 1500 - overhead);
    // A router that drops what does not fit, and the ICMP message about it; one that clears the ECN field.
    await router?.run(['nft', NO_ICMP.replace('TOO_BIG', tooBig)]);
    await router?.ip('route', 'replace', `${b.outer[outer]}${host}`, 'dev', 'vethB', 'mtu', '1400');
    await router?.run(['nft', CLEARED.replace('IP', outer === 'ipv4' ? 'ip' : 'ip6')]);
    const bad = await measure();
    const found = find(bad, 'path-mtu-unreported');
    t.deepEqual(found?.commands, [`ip link set dev tun0 mtu ${1400 - overhead}`], said(bad));
    t.true(said(bad).includes(`ok: congestion marks (ECN) would not reach the peer`), said(bad));
    // Only over IPv4 does the router fragment.
    const longer: FindingCode | 'ok' = outer === 'ipv4' ? 'ok' : 'longer-lost';
    t.regex(said(bad), new RegExp(`^${longer}: \\w+ of 10 packets of ${1500 - overhead} bytes`, 'm'));
  });
}

function assertClean(t: ExecutionContext, clean: Examination, address: string, most: number): void {
  for (const what of [
    `${address} answers in `,
    'no packet of 20 was lost',
    `packets of up to ${most} bytes reach the peer unfragmented`,
    `packets of ${most} bytes arrive from the peer unfragmented`,
  ]) {
    t.true(said(clean).includes(`ok: ${what}`), `${what} in ${said(clean)}`);
  }
  t.is(clean.problems + clean.warnings, 0, said(clean));
  t.truthy(find(clean, 'ecn-unused'), said(clean));
}

const NO_ICMP =
  'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }; add rule inet quiet out TOO_BIG drop';
const CLEARED =
  'add table inet bleach; add chain inet bleach forward { type filter hook forward priority 0; }; add rule inet bleach forward IP ecn set not-ect';

test('a path that fragments on the way back, and a peer with a smaller device', async (t) => {
  await using sites = await createSites({ router: true, tunMtu: 1472 });
  const { a, b, router } = sites;
  await using patient = await Patient.in(a);
  const ends = [a, b].map((site) => [site.outer.ipv4, '9000']);
  await using tunnel = startTtun(a, ['-q', a.tun, ...(ends[0] ?? []), ...(ends[1] ?? [])]);
  await using peer = startTtun(b, ['-q', b.tun, ...(ends[1] ?? []), ...(ends[0] ?? [])]);
  await Promise.all([tunnel, peer].map((ttun) => ttun.waitForLine('attached to')));
  await patient.sh(`until ls /run/ttun/${tunnel.pid}.sock; do :; done`);
  await router?.ip('route', 'replace', `${a.outer.ipv4}/32`, 'dev', 'vethA', 'mtu', '1380');
  await b.ip('link', 'set', b.tun, 'mtu', '1400');
  // Without an address, the likely one of the peer is asked.
  const measured = await patient.examine(['--path']);
  t.true(said(measured).includes(`ok: ${b.inner.ipv4} answers in `), said(measured));
  t.true(said(measured).includes('ok: the peer answers'), said(measured));
  const advice = 'on the other host: ip link set dev <device> mtu 1352';
  t.is(find(measured, 'path-mtu-back')?.advice, advice, said(measured));
  t.regex(
    find(measured, 'mtu-differs')?.what ?? said(measured),
    /MTU of 1396 to 1403, and tun0 one of 1472$/,
  );

  const own = await patient.examine(['--path', a.tun, a.inner.ipv4]);
  t.is(find(own, 'path-not-measured')?.what, 'address: 10.0.2.1 is an address of this host', said(own));
});
