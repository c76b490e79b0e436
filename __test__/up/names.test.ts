import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { NotifySocket, Receiver } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { SiteNames } from '../../testbed/site-names.ts';
import { officeAtA, UpFolder } from './up.ts';

let sites: Sites;
let names: SiteNames;
test.before(async () => {
  sites = await createSites();
  names = await SiteNames.of(sites.a, 'dead');
});
test.after.always(async () => {
  await sites[Symbol.asyncDispose]();
  await names[Symbol.asyncDispose]();
});

test.serial(
  'a tunnel waits until the name of its peer can be resolved, and reports the problem',
  async (t) => {
    const remote = 'gateway.example:9000';
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites, { remote }) } });
    await using up = folder.up(sites.a);
    t.regex(
      await up.waitForLine('office: gateway.example'),
      /^ttun: office: gateway\.example: .*; retrying$/,
    );
    await names.set({ 'gateway.example': ['10.0.1.2'] });
    await up.waitForLine(/office: attached to tun0 .* -> 10\.0\.1\.2:9000 /);
    t.is(up.lines.filter((line) => line.includes('retrying')).length, 1);
  },
);

test.serial('a name server that never answers delays neither the start nor the end', async (t) => {
  await using silent = await Receiver.start(sites.b, '10.0.1.2:53');
  // Much longer than a shutdown may take.
  const resolv = `nameserver 10.0.1.2\noptions timeout:30 attempts:1\n`;
  await writeFile(join('/etc/netns', sites.a.namespace, 'resolv.conf'), resolv);
  const remote = 'other.example:9000';
  await using folder = await UpFolder.create({
    tunnels: {
      other: officeAtA(sites, { remote, device: 'tun1', local: '10.0.1.1:9100' }),
      office: officeAtA(sites),
    },
  });
  const path = join(folder.directory, 'notify');
  await using manager = await NotifySocket.start(sites.a, path);
  await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: path });
  await up.waitForLine('office: attached to tun0');
  await silent.first(1);
  await manager.message('READY=1');
  t.deepEqual(await up.stop('SIGINT', 15_000), { status: 0, signal: null });
  t.regex(up.stderr, /^ttun: other: closed; it was never open$/m);
});
