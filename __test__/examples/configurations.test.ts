/** The configuration files of the examples, in sites with the addresses that they name. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parseConfig } from '../../src/index.ts';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { UpFolder } from '../up/up.ts';

const FOLDER = new URL('../../examples/', import.meta.url);

function textOf(file: string): Promise<string> {
  return readFile(new URL(file, FOLDER), 'utf8');
}

test('each configuration is valid, without warnings, and in the README with its whole folder', async (t) => {
  const files = (await readdir(FOLDER, { recursive: true })).filter((file) => file.endsWith('.toml'));
  const readme = await textOf('README.md');
  t.true(files.length >= 3);
  for (const file of files) {
    t.deepEqual(parseConfig(await textOf(file), { format: 'toml', path: file }).warnings, [], file);
    t.true(readme.includes(`](${file})`), file);
  }
});

/** Two sites that have no TUN devices, and these addresses on their link. */
async function sitesWith(a: readonly string[], b: readonly string[]): Promise<Sites> {
  const sites = await createSites();
  for (const [site, addresses] of [
    [sites.a, a],
    [sites.b, b],
  ] as const) {
    const add = addresses.map((address) => `address add ${address} dev ${site.veth} nodad`);
    await site.ipBatch(`link delete ${site.tun}`, ...add);
  }
  return sites;
}

function up(site: Site, file: string, ...names: string[]): BackgroundProcess {
  return site.start([process.execPath, BIN, 'up', '-c', file, ...names]);
}

async function isAnswered(site: Site, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    await waitFor(`an answer from ${address}`, async () => (await ping(site, address)).received > 0);
  }
}

test.serial('over-wireguard: the device fits into the MTU that wg-quick gives wg0', async (t) => {
  const file = fileURLToPath(new URL('over-wireguard/ttun.toml', FOLDER));
  await using sites = await sitesWith([], []);
  // The link takes the place of WireGuard's, with its name, its addresses and its MTU.
  for (const [site, end] of [
    [sites.a, 1],
    [sites.b, 2],
  ] as const) {
    await site.ipBatch(
      `link set ${site.veth} down`,
      `link set ${site.veth} name wg0 mtu 1420`,
      'link set wg0 up',
      `address add 10.1.0.${end}/24 dev wg0`,
    );
  }
  const text = await textOf('over-wireguard/ttun.toml');
  // The peer's, "with the addresses exchanged".
  const swapped = text.replaceAll(
    /(?<=10\.1\.0\.|10\.0\.2\.|fd00:2::)[12]\b/g,
    (end) => `${3 - Number(end)}`,
  );
  await using folder = await UpFolder.create({ tunnels: {} });
  await folder.writeText(swapped);
  await using here = up(sites.a, file);
  await using there = folder.up(sites.b);
  await here.waitForLine('inside: attached to tun0 (mtu 1392,');
  await there.waitForLine('inside: attached to tun0 (mtu 1392,');
  await isAnswered(sites.a, '10.0.2.2', 'fd00:2::2');
  // A full packet passes whole.
  await sites.a.run(['ping', '-c', '1', '-M', 'do', '-s', `${1392 - 28}`, '10.0.2.2']);
  t.pass();
});

test.serial('behind-nat: the gateway learns its peer, whose address and port a NAT translates', async (t) => {
  await using sites = await createSites({ router: true });
  const { a: gateway, b: branch, router } = sites;
  for (const site of [gateway, branch]) await site.ip('link', 'delete', site.tun);
  // The sites have other addresses than the files; that of the NAT is the router's.
  const here = async (file: string): Promise<string> =>
    (await textOf(file))
      .replaceAll('203.0.113.1', gateway.outer.ipv4)
      .replaceAll('198.51.100.0/24', '10.0.1.254/32')
      .replace('interval = "10s"', 'interval = "200ms"');
  const nat =
    'type nat hook postrouting priority 100; oifname "vethA" udp sport 8000 masquerade to :40000-40010';
  await router?.run(['nft', `table ip n { chain p { ${nat}; }; }`]);
  await gateway.ip('route', 'delete', 'default');

  await using atGateway = await UpFolder.create({ tunnels: {} });
  await atGateway.writeText(await here('behind-nat/gateway.toml'));
  await using atBranch = await UpFolder.create({ tunnels: {} });
  await atBranch.writeText(await here('behind-nat/branch.toml'));
  await using learning = atGateway.up(gateway);
  await learning.waitForLine('branch: attached to tun0');
  await using translated = atBranch.up(branch);
  await translated.waitForLine('gateway: attached to tun0');
  // The probe alone makes the branch known; then the gateway can start.
  await isAnswered(gateway, '10.0.2.2');
  for (const site of [gateway, branch]) {
    await waitFor('the MTU to fit the path', async () =>
      (await site.ip('link', 'show', 'tun0')).includes(' mtu 1472 '),
    );
  }
  const { stdout } = await gateway.run([process.execPath, BIN, 'show', 'branch', '--json']);
  t.regex(stdout, /"remote": ?"10\.0\.1\.254:400(?:0\d|10)"/);
});

for (const { name, script, inner } of [
  { name: 'fou', script: 'linux-fou/peer.sh', inner: ['10.0.2.2', 'fd00:2::2'] },
  { name: 'fou6', script: 'linux-fou/peer-ipv6.sh', inner: ['10.0.3.2', 'fd00:3::2'] },
]) {
  test.serial(`linux-fou: the kernel is the other end of ${name}, where it has FOU`, async (t) => {
    await using sites = await sitesWith(
      ['192.0.2.1/24', '2001:db8:1::1/64'],
      ['192.0.2.2/24', '2001:db8:1::2/64'],
    );
    const lines = (await textOf(script)).split('\n').filter((line) => /^(?:ip|modprobe) /.test(line));
    t.true(lines.length > 5);
    const missing: string[] = [];
    for (const line of lines) {
      const { status, stderr } = await sites.b.runToEnd(['sh', '-c', line]);
      if (status === 0) continue;
      // What the kernel lacks; ip(8) itself must accept the line.
      t.regex(stderr, /not found|Unknown device type|No such file|Cannot find device|not supported/, line);
      missing.push(line);
    }
    if (missing.length > 0) {
      t.log(
        'not run, for this kernel has no FOU; ip accepts the lines:',
        ...missing.map((line) => `\n${line}`),
      );
      return;
    }
    await using here = up(sites.a, fileURLToPath(new URL('linux-fou/ttun.toml', FOLDER)), name);
    await here.waitForLine(`${name}: attached to`);
    await isAnswered(sites.a, ...inner);
    for (const address of inner) await isAnswered(sites.b, address.replace(/2$/, '1'));
  });
}
