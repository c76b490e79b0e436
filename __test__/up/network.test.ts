/** Changes of the network under `ttun up`: what it prints, and when it opens tunnels. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { eventsOf, officeAtA, UpFolder } from './up.ts';

const LATER = { ipv4: '10.0.1.77', ipv6: 'fd00:1::77' } as const;

for (const [family, address, prefix, ...flags] of [
  ['ipv4', LATER.ipv4, 24],
  ['ipv6', LATER.ipv6, 64, 'nodad'],
] as const) {
  test.serial(`a tunnel opens when its local address arrives (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    const local = family === 'ipv4' ? `${address}:9000` : `[${address}]:9000`;
    const remote = family === 'ipv4' ? `${b.outer.ipv4}:9000` : `[${b.outer.ipv6}]:9000`;
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites, { local, remote }) } });
    await using up = folder.up(a);
    await up.waitForLine(`office: ${address} is not an address of this host`);
    const addedAt = performance.now();
    await a.ip('address', 'add', `${address}/${prefix}`, 'dev', a.veth, ...flags);
    await up.waitForLine('office: attached to tun0');
    t.log(`${Math.round(performance.now() - addedAt)} ms after the address`);
    t.pass();
  });
}

test.serial('a change is an event with a time, and a line with a priority in the journal', async (t) => {
  await using sites = await createSites();
  const { a } = sites;
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  const journal = join(folder.directory, 'journal');
  await writeFile(journal, '');
  const { dev, ino } = await stat(journal, { bigint: true });
  const command = [process.execPath, BIN, 'up', '--json', '-c', folder.config];
  await using up = a.start(['sh', '-c', 'exec "$@" 2>>"$0"', journal, ...command], {
    env: { JOURNAL_STREAM: `${dev}:${ino}` },
  });
  const logged = (line: RegExp): Promise<true> =>
    waitFor(`${line.source} in the journal`, async () => line.test(await readFile(journal, 'utf8')));
  await logged(/^<6>ttun: office: attached to tun0/m);
  await a.ip('address', 'delete', `${a.outer.ipv4}/24`, 'dev', a.veth);
  await logged(
    /^<3>ttun: office: this host no longer has the local address 10\.0\.1\.1; the tunnel continues/m,
  );
  await a.ip('address', 'add', `${a.outer.ipv4}/24`, 'dev', a.veth);
  await logged(/^<5>ttun: office: the local address is back after /m);

  const events = await waitFor('the event', () => {
    const found = eventsOf(up).filter(({ event }) => event === 'change');
    return found.length >= 2 && found;
  });
  t.like(events, [
    { tunnel: 'office', kind: 'local-address-lost', level: 'warning' },
    { tunnel: 'office', kind: 'local-address-back', level: 'notice' },
  ]);
  for (const { at } of eventsOf(up)) {
    t.regex(String(at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  }
});
