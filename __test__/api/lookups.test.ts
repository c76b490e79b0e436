import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Receiver } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { runInSite } from './in-site.ts';
import { SiteNames } from '../../testbed/site-names.ts';

const OPEN_TO_NAME = new URL('../../dist/peer.js', import.meta.url).href;

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

test('a queued lookup that is no longer needed is skipped, so that others start sooner', async (t) => {
  await using silent = await Receiver.start(sites.b, '10.0.1.2:53');
  const resolv = 'nameserver 10.0.1.2\noptions timeout:2 attempts:1\n';
  await writeFile(join('/etc/netns', sites.a.namespace, 'resolv.conf'), resolv);
  const reported = await runInSite(
    sites.a,
    `
    // Loaded already, as in a process that has other such tunnels.
    await import('${OPEN_TO_NAME}');
    const open = (name, signal, onWaiting) =>
      createTunnel({ ...options, remote: name + '.example:9000' }, { signal, onWaiting }).catch((reason) => reason);
    const givenUp = new AbortController();
    const end = new AbortController();
    // As many as are looked up at once.
    const first = [open('one', end.signal), open('two', end.signal)];
    const abandoned = ['three', 'four'].map((name) => open(name, givenUp.signal));
    // Until they wait for their turn, as the next one will not before it is given up.
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    abandoned.push(open('five', givenUp.signal));
    givenUp.abort('given up');
    report(await Promise.all(abandoned));
    await new Promise((resolve) => first.push(open('last', end.signal, resolve)));
    end.abort('the end');
    report(await Promise.all(first));
    `,
  );
  t.deepEqual(reported, [
    ['given up', 'given up', 'given up'],
    ['the end', 'the end', 'the end'],
  ]);
  const asked = (await silent.first(3)).map(
    (query) => /one|two|three|four|five|last/.exec(query.toString('latin1'))?.[0],
  );
  t.deepEqual(new Set(asked), new Set(['one', 'two', 'last']));
});
