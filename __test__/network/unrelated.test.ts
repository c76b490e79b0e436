/** Unrelated changes cost nothing. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { noticed, traffic } from './changing.ts';

const PAIRS = 1000;
const ROUTES = 100_000;

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Of all threads of a process, in seconds (proc_pid_stat(5)). */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks / 100;
}

test.serial(
  'interfaces that come and go, and a full routing table, cost neither CPU nor a packet',
  async (t) => {
    await using sites = await createSites();
    const { a } = sites;
    const [atA] = await openPair(sites, { onlyA: { local: ':9000' } });
    await traffic(sites);
    const before = await cpuSeconds(atA.process.pid);
    await a.ipBatch(...numbers(PAIRS).map((n) => `link add u${n} group 9 type veth peer w${n}`));
    await a.ip('link', 'delete', 'group', '9');
    await a.ipBatch(
      ...numbers(ROUTES).map(
        (n) => `route add 172.${16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255} dev ${a.tun}`,
      ),
    );
    const stats = await atA.stats();
    t.is(stats.socket.reconnects, 0);
    t.is(stats.encap.dropped + stats.decap.dropped, 0);
    t.deepEqual(
      (await atA.history()).map(({ kind }) => kind).filter((kind) => kind !== 'peer-heard'),
      [],
    );
    const used = (await cpuSeconds(atA.process.pid)) - before;
    t.true(used < 2, `${used} s of CPU time`);
    t.log(`${used.toFixed(2)} s of CPU time`);

    // Notices that were lost meanwhile do not matter.
    await a.ip('address', 'add', '10.0.1.5/24', 'dev', a.veth);
    await a.ip('route', 'replace', '10.0.1.0/24', 'dev', a.veth, 'src', '10.0.1.5');
    await noticed(atA, 'source-changed');
  },
);
