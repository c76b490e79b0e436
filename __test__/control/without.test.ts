import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

test('a tunnel runs without a control socket if there is no /proc', async (t) => {
  const { a, b } = sites;
  const ttun = [process.execPath, BIN, '-q', a.tun, a.outer.ipv4, '9000', b.outer.ipv4, '9000'];
  const blind = 'mount -t tmpfs none /proc; exec "$0" "$@"';
  await using tunnel = a.start(['unshare', '--mount', 'sh', '-ec', blind, ...ttun]);
  await tunnel.waitForLine('continuing without a control socket, so ttun show cannot see this process');
  t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
});
