/** Tunnels whose threads poll after each packet. When they do, and for how long, is tested in memory: crates/ttun-core/src/tests/busy_poll.rs. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { openPair, socketAddress } from '../../testbed/tunnel.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';

/** As ps(1) shows it (`S`: it sleeps), of the thread that carries the packets. */
async function stateOfThread({ process, site }: RemoteTunnel): Promise<string> {
  const tasks = `/proc/${process.pid}/task`;
  for (const id of await readdir(tasks)) {
    const stat = await readFile(join(tasks, id, 'stat'), 'utf8');
    const [, name, state] = /\((.*)\) (\w)/.exec(stat) ?? [];
    if (name === `ttun-${site.tun}` && state !== undefined) return state;
  }
  throw new Error(`no thread carries packets of ${site.tun}`);
}

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(
    `tunnels that poll carry packets, notice changes, and sleep when idle (outer ${outer})`,
    async (t) => {
      await using sites = await createSites();
      const [a, b] = await openPair(sites, {
        outer,
        onlyA: { busyPoll: '1ms' },
        onlyB: { busyPoll: '50us' },
      });
      for (const inner of ['ipv4', 'ipv6'] as const) {
        const { sent, received } = await ping(sites.a, sites.b.inner[inner], { count: 20 });
        t.true(received >= 20, `${received} of ${sent}`);
      }
      const transfer = { from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: 1 << 20 };
      await transferTcp(transfer);
      await a.setRate('1 Gbit/s');
      await a.setRemote(socketAddress(sites.b.outer[outer], 9000));
      await transferTcp({ from: sites.b, to: sites.a, address: sites.a.inner.ipv6, bytes: 1 << 20 });
      for (const tunnel of [a, b]) {
        await waitFor('the thread to sleep', async () => (await stateOfThread(tunnel)) === 'S');
      }
      nothingDropped(t, await closeAndAccount(t, a, b));
    },
  );
}
