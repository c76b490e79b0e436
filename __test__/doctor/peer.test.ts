/** The most common mistakes: a peer that is not running, or whose address or port is not the one that this end expects. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import type { TunnelReport } from '../../src/tunnel-host.ts';
import { find, Patient } from './patient.ts';

const FAMILIES = ['ipv4', 'ipv6'] as const;

/** Sites of their own for each family, in which its tests take turns: they mostly wait. */
class Scene implements AsyncDisposable {
  readonly family: Family;
  readonly sites: Sites;
  readonly patient: Patient;
  #last: Promise<void> = Promise.resolve();

  private constructor(family: Family, sites: Sites, patient: Patient) {
    this.family = family;
    this.sites = sites;
    this.patient = patient;
  }

  static async of(family: Family): Promise<Scene> {
    const sites = await createSites();
    return new Scene(family, sites, await Patient.in(sites.a));
  }

  /** The outer addresses. */
  get ends(): { readonly a: string; readonly b: string } {
    return { a: this.sites.a.outer[this.family], b: this.sites.b.outer[this.family] };
  }

  inTurn(look: () => Promise<void>): Promise<void> {
    const turn = this.#last.catch(() => {}).then(look);
    this.#last = turn;
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.patient[Symbol.asyncDispose]();
    await this.sites[Symbol.asyncDispose]();
  }
}

let scenes: Readonly<Record<Family, Scene>>;
test.before(async () => {
  scenes = { ipv4: await Scene.of('ipv4'), ipv6: await Scene.of('ipv6') };
});
test.after.always(async () => {
  for (const scene of Object.values(scenes)) await scene[Symbol.asyncDispose]();
});

function overBoth(title: string, look: (t: ExecutionContext, scene: Scene) => Promise<void>): void {
  for (const family of FAMILIES) {
    test(`${title}, over ${family}`, (t) => scenes[family].inTurn(() => look(t, scenes[family])));
  }
}

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
async function reportOf({ sites }: Scene, { pid }: BackgroundProcess): Promise<TunnelReport> {
  const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'show', '--json']);
  const all: { process: { pid: number }; tunnels: TunnelReport[] }[] = JSON.parse(stdout);
  const report = all.find((document) => document.process.pid === pid)?.tunnels[0];
  if (report === undefined) throw new Error(stdout);
  return report;
}

async function diagnosisOf(scene: Scene, ttun: BackgroundProcess, pattern: RegExp): Promise<string> {
  return waitFor(`a diagnosis like ${pattern}`, async () => {
    const { diagnosis } = await reportOf(scene, ttun);
    return diagnosis !== null && pattern.test(diagnosis) && diagnosis;
  });
}

overBoth('a tunnel whose process does not answer is not reported as missing', async (t, scene) => {
  const { sites, patient } = scene;
  const { a, b } = scene.ends;
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await waitFor('its control socket', () => reportOf(scene, ttun).catch(() => null));
  ttun.kill('SIGSTOP');
  const { unchecked } = await patient.examine([sites.a.tun]);
  ttun.kill('SIGCONT');
  const path = unchecked.find(({ what }) => what === `the path to the peer of ${sites.a.tun}`);
  t.regex(path?.why ?? '', /^the process at .* does not answer; /);
});

overBoth('a peer that refuses is diagnosed until it answers', async (t, scene) => {
  const { sites, patient } = scene;
  const { a, b } = scene.ends;
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await using packets = traffic(sites.a, sites.b);
  const question = `is ttun running there, with ${at(a)} as its remote?`;
  t.is(await diagnosisOf(scene, ttun, /refuses/), `${b} refuses port 9000: ${question}`);
  const found = find(await patient.examine([sites.a.tun]), 'peer-not-heard');
  t.is(found?.what, `${b} refuses port 9000`);
  t.true(found?.advice?.startsWith(question));
  await ttun.waitForLine(`ttun: ${b} refuses port 9000: ${question}`);

  await using peer = await run(sites.b, [b, '9000'], [a, '9000']);
  await waitFor('the end of the diagnosis', async () => (await reportOf(scene, ttun)).diagnosis === null);
  await ttun.waitForLine(`ttun: heard from ${at(b)}`);
  const after = await patient.examine([sites.a.tun]);
  t.is(find(after, 'peer-not-heard'), undefined);
  t.true(after.findings.some(({ what }) => what === 'the peer answers'));
  const kinds = (await reportOf(scene, ttun)).history.map(({ kind }) => kind);
  t.deepEqual(kinds.slice(0, 2), ['peer-refuses', 'peer-heard']);
  t.true(packets.running && peer.running);
});

overBoth('a peer that sends from another of its addresses is found', async (t, scene) => {
  const { family, sites, patient } = scene;
  const { a, b } = scene.ends;
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
  await diagnosisOf(scene, ttun, /refuses/);
  const found = find(await patient.examine([sites.a.tun]), 'peer-elsewhere');
  t.is(found?.what, `datagrams to port 9000 come from ${at(other)}, not from ${at(b)}`);
  t.true(found?.advice?.includes(`set remote = "${at(other)}" here`));
  t.true(found?.advice?.includes(`remote = "learn" and peers = ["${other}"] here`));
  t.true(peer.running && out.running && back.running);
});

overBoth('a sender that may not become the peer is found', async (t, scene) => {
  const { family, sites, patient } = scene;
  const { a, b } = scene.ends;
  const peers = family === 'ipv4' ? '203.0.113.0/24' : '2001:db8::/32';
  await using ttun = await run(sites.a, ['--peers', peers, a, '9000'], ['learn']);
  await using peer = await run(sites.b, [b, '9000'], [a, '9000']);
  await using back = traffic(sites.b, sites.a);
  await diagnosisOf(scene, ttun, /no peer yet/);
  const examination = await patient.examine([sites.a.tun]);
  const found = find(examination, 'peer-not-accepted');
  t.is(found?.what, `datagrams to port 9000 come from ${at(b)}, but do not make it the peer`);
  t.true(found?.advice?.includes(`${b} must be in peers`));
  t.not(find(examination, 'peer-unknown'), undefined);
  t.deepEqual(
    examination.unchecked.filter(({ what }) => what.includes('another address')),
    [],
  );
  t.true(peer.running && back.running);
});

overBoth('a peer whose remote has the wrong port is found', async (t, scene) => {
  const { sites, patient } = scene;
  const { a, b } = scene.ends;
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await using peer = await run(sites.b, [b, '9000'], [a, '9001']);
  await using out = traffic(sites.a, sites.b);
  await using back = traffic(sites.b, sites.a);
  await diagnosisOf(scene, ttun, /refuses/);
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

overBoth('silence is diagnosed', async (t, scene) => {
  const { sites, patient } = scene;
  const { a, b } = scene.ends;
  await sites.b.run([
    'nft',
    'add table inet quiet; add chain inet quiet in { type filter hook input priority 0; }; add rule inet quiet in udp dport 9000 drop',
  ]);
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await using packets = traffic(sites.a, sites.b);
  const diagnosis = await diagnosisOf(scene, ttun, /nothing heard/);
  t.true(
    diagnosis.startsWith(
      `nothing heard from ${at(b)} yet: is ttun running there, with ${at(a)} as its remote, and do`,
    ),
  );
  t.is(find(await patient.examine([sites.a.tun]), 'peer-not-heard')?.what, `nothing heard from ${at(b)} yet`);
  await sites.b.run(['nft', 'delete table inet quiet']);
  t.true(packets.running);
});

overBoth('a firewall of this host sends no one to the other host', async (t, scene) => {
  const { sites, patient } = scene;
  const { a, b } = scene.ends;
  await sites.a.run([
    'nft',
    'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }; add rule inet quiet out udp dport 9000 drop',
  ]);
  await using ttun = await run(sites.a, [a, '9000'], [b, '9000']);
  await using packets = traffic(sites.a, sites.b);
  const said = `the firewall of this host refuses datagrams to ${at(b)}`;
  t.is(await diagnosisOf(scene, ttun, /firewall/), `${said}: see nft list ruleset`);
  t.like(find(await patient.examine([sites.a.tun]), 'peer-not-heard'), {
    what: said,
    advice: 'see nft list ruleset',
  });
  await sites.a.run(['nft', 'delete table inet quiet']);
  t.true(packets.running);
});
