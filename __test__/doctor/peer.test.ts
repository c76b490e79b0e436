/** The most common mistakes: a peer that is not running, or whose address or port is not the one that this end expects. */
import test from 'ava';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import type { TunnelReport } from '../../src/tunnel-host.ts';
import { find, Patient } from './patient.ts';

let sites: Sites;
let patient: Patient;
test.before(async () => {
  sites = await createSites();
  patient = await Patient.in(sites.a);
});
test.after.always(async () => {
  await patient[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

const FAMILIES = ['ipv4', 'ipv6'] as const;

/** Port 9000 or another of an address, as it is written with the address. */
function at(address: string, port = 9000): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

async function run(
  site: Site,
  local: readonly string[],
  remote: readonly string[],
): Promise<BackgroundProcess> {
  const ttun = startTtun(site, ['-q', site.tun, ...local, ...remote]);
  await ttun.waitForLine('attached to');
  return ttun;
}

/** Echo requests without an answer, so that the tunnel has something to send. */
function traffic(from: Site, to: Site): BackgroundProcess {
  return from.start(['ping', '-n', '-i', '0.2', to.inner.ipv4]);
}

/** What `ttun show` reports of the only tunnel of this process. */
async function reportOf({ pid }: BackgroundProcess): Promise<TunnelReport> {
  const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'show', '--json']);
  const all: { process: { pid: number }; tunnels: TunnelReport[] }[] = JSON.parse(stdout);
  const report = all.find((document) => document.process.pid === pid)?.tunnels[0];
  if (report === undefined) throw new Error(stdout);
  return report;
}

async function diagnosisOf(ttun: BackgroundProcess, pattern: RegExp): Promise<string> {
  return waitFor(`a diagnosis like ${pattern}`, async () => {
    const { diagnosis } = await reportOf(ttun);
    return diagnosis !== null && pattern.test(diagnosis) && diagnosis;
  });
}

function ends(family: Family): { readonly a: string; readonly b: string } {
  return { a: sites.a.outer[family], b: sites.b.outer[family] };
}

test.serial('a tunnel whose process does not answer is not reported as missing', async (t) => {
  const { a, b } = ends('ipv4');
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await waitFor('its control socket', () => reportOf(ttun).catch(() => null));
  ttun.kill('SIGSTOP');
  const { unchecked } = await patient.examine([sites.a.tun]);
  ttun.kill('SIGCONT');
  const path = unchecked.find(({ what }) => what === `the path to the peer of ${sites.a.tun}`);
  t.regex(path?.why ?? '', /^the process at .* does not answer; /);
});

for (const family of FAMILIES) {
  test.serial(`a peer that refuses is diagnosed until it answers, over ${family}`, async (t) => {
    const { a, b } = ends(family);
    await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
    await using packets = traffic(sites.a, sites.b);
    const question = `is ttun running there, with ${at(a)} as its remote?`;
    t.is(await diagnosisOf(ttun, /refuses/), `${b} refuses port 9000: ${question}`);
    const found = find(await patient.examine([sites.a.tun]), 'peer-not-heard');
    t.is(found?.what, `${b} refuses port 9000`);
    t.true(found?.advice?.startsWith(question));
    await ttun.waitForLine(`ttun: ${b} refuses port 9000: ${question}`);

    await using peer = await run(sites.b, [b, '9000'], [a, '9000']);
    await waitFor('the end of the diagnosis', async () => (await reportOf(ttun)).diagnosis === null);
    await ttun.waitForLine(`ttun: heard from ${at(b)}`);
    const after = await patient.examine([sites.a.tun]);
    t.is(find(after, 'peer-not-heard'), undefined);
    t.true(after.findings.some(({ what }) => what === 'the peer answers'));
    const kinds = (await reportOf(ttun)).history.map(({ kind }) => kind);
    t.deepEqual(kinds.slice(0, 2), ['peer-refuses', 'peer-heard']);
    t.true(packets.running && peer.running);
  });

  test.serial(`a peer that sends from another of its addresses is found, over ${family}`, async (t) => {
    const { a, b } = ends(family);
    const other = family === 'ipv4' ? '10.0.1.77' : 'fd00:1::77';
    await sites.b.ip(
      'address',
      'add',
      `${other}/${family === 'ipv4' ? 24 : 64}`,
      'dev',
      sites.b.veth,
      ...(family === 'ipv6' ? ['nodad'] : []),
    );
    await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
    await using peer = await run(sites.b, [other, '9000'], [a, '9000']);
    await using out = traffic(sites.a, sites.b);
    await using back = traffic(sites.b, sites.a);
    await diagnosisOf(ttun, /refuses/);
    const found = find(await patient.examine([sites.a.tun]), 'peer-elsewhere');
    t.is(found?.what, `datagrams to port 9000 come from ${at(other)}, not from ${at(b)}`);
    t.true(found?.advice?.includes(`set remote = "${at(other)}" here`));
    t.true(peer.running && out.running && back.running);
  });

  test.serial(`a peer whose remote has the wrong port is found, over ${family}`, async (t) => {
    const { a, b } = ends(family);
    await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
    await using peer = await run(sites.b, [b, '9000'], [a, '9001']);
    await using out = traffic(sites.a, sites.b);
    await using back = traffic(sites.b, sites.a);
    await diagnosisOf(ttun, /refuses/);
    const examination = await patient.examine([sites.a.tun]);
    const found = find(examination, 'peer-other-port');
    t.is(found?.what, `${b} sends to UDP port 9001 of this host, not to 9000`);
    t.is(found?.advice, `if they belong to the tunnel: set remote = "${at(a)}" on the other host`);
    t.regex(
      find(examination, 'no-socket')?.what ?? '',
      /^\d+ UDP datagrams arrived at ports without a socket$/,
    );
    t.true(peer.running && out.running && back.running);
  });

  test.serial(`silence is diagnosed, over ${family}`, async (t) => {
    const { a, b } = ends(family);
    await sites.b.run([
      'nft',
      'add table inet quiet; add chain inet quiet in { type filter hook input priority 0; }; add rule inet quiet in udp dport 9000 drop',
    ]);
    await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
    await using packets = traffic(sites.a, sites.b);
    const diagnosis = await diagnosisOf(ttun, /nothing heard/);
    t.true(
      diagnosis.startsWith(
        `nothing heard from ${at(b)} yet: is ttun running there, with ${at(a)} as its remote, and do`,
      ),
    );
    t.is(
      find(await patient.examine([sites.a.tun]), 'peer-not-heard')?.what,
      `nothing heard from ${at(b)} yet`,
    );
    await sites.b.run(['nft', 'delete table inet quiet']);
    t.true(packets.running);
  });

  test.serial(`a firewall of this host sends no one to the other host, over ${family}`, async (t) => {
    const { a, b } = ends(family);
    await sites.a.run([
      'nft',
      'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }; add rule inet quiet out udp dport 9000 drop',
    ]);
    await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
    await using packets = traffic(sites.a, sites.b);
    const said = `the firewall of this host refuses datagrams to ${at(b)}`;
    t.is(await diagnosisOf(ttun, /firewall/), `${said}: see nft list ruleset`);
    t.like(find(await patient.examine([sites.a.tun]), 'peer-not-heard'), {
      what: said,
      advice: 'see nft list ruleset',
    });
    await sites.a.run(['nft', 'delete table inet quiet']);
    t.true(packets.running);
  });
}
