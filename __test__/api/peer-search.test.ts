import test from 'ava';
import { formatEndpoint, parseIpAddress } from '../../src/address.ts';
import { TtunError } from '../../src/errors.ts';
import { PeerSearch } from '../../src/peer.ts';
import type { TunnelState } from '../../src/stats.ts';

const PEER = { name: 'gateway.example', port: 8000, local: { address: null, port: 8000 } };

/** A search in simulated time, for a name whose addresses the test sets. */
class Simulation {
  addresses: readonly string[] | Error = ['192.0.2.1'];
  now = 0;
  packets = 0;
  accepts = true;
  lookups = 0;
  readonly remotes: string[] = [];
  problem: TtunError['code'] | null = null;
  readonly errors: (string | null)[] = [];
  readonly #search = new PeerSearch(
    PEER,
    parseIpAddress('192.0.2.1'),
    {
      packetsToSend: () => this.packets,
      setRemote: async (remote) => {
        if (!this.accepts) throw new TtunError('ERR_TTUN_NO_ROUTE', 'no route to the peer');
        this.remotes.push(formatEndpoint(remote));
      },
      setPeerProblem: (problem) => {
        this.problem = problem?.code ?? null;
        this.errors.push(problem?.message ?? null);
      },
    },
    { resolve: () => this.#resolve(), now: () => this.now },
  );

  /** Lets time pass, with packets to send and with the state checked twice a second, as a tunnel does. */
  async pass(seconds: number, state: TunnelState, packetsPerSecond = 1): Promise<void> {
    for (let half = 0; half < seconds * 2; half += 1) {
      this.now += 500;
      this.packets += packetsPerSecond;
      await this.#search.check(state);
    }
  }

  async #resolve(): Promise<
    readonly [ReturnType<typeof parseIpAddress>, ...ReturnType<typeof parseIpAddress>[]]
  > {
    this.lookups += 1;
    if (this.addresses instanceof Error) throw this.addresses;
    const [first = '', ...others] = this.addresses;
    return [parseIpAddress(first), ...others.map((text) => parseIpAddress(text))];
  }
}

test('a peer that answers is not looked up', async (t) => {
  const search = new Simulation();
  search.addresses = ['192.0.2.9'];
  await search.pass(300, 'up');
  t.is(search.lookups, 0);
});

test('a peer that nothing is sent to is not looked up', async (t) => {
  const search = new Simulation();
  await search.pass(300, 'waiting', 0);
  t.is(search.lookups, 0);
});

test('a peer that falls silent is looked up at once, and every 30 s while it lasts', async (t) => {
  const search = new Simulation();
  await search.pass(100, 'up');
  await search.pass(0.5, 'waiting');
  t.is(search.lookups, 1);
  await search.pass(29.5, 'waiting');
  t.is(search.lookups, 1);
  await search.pass(0.5, 'waiting');
  t.is(search.lookups, 2);
  await search.pass(60, 'waiting');
  t.is(search.lookups, 4);
  await search.pass(60, 'up');
  t.is(search.lookups, 4);
});

test('a peer that never answered is looked up after 30 s', async (t) => {
  const search = new Simulation();
  await search.pass(29.5, 'waiting');
  t.is(search.lookups, 0);
  await search.pass(0.5, 'waiting');
  t.is(search.lookups, 1);
});

test('a new address is used; an unchanged one is not set again', async (t) => {
  const search = new Simulation();
  await search.pass(1, 'up');
  await search.pass(90, 'waiting');
  t.deepEqual(search.remotes, []);
  search.addresses = ['2001:db8::9', '192.0.2.9'];
  await search.pass(30, 'waiting');
  t.deepEqual(search.remotes, ['[2001:db8::9]:8000']);
});

test('of several addresses, the current one stays at first; if the peer stays silent, each is tried in turn', async (t) => {
  const search = new Simulation();
  search.addresses = ['192.0.2.7', '192.0.2.1', '192.0.2.8'];
  await search.pass(1, 'up');
  await search.pass(0.5, 'waiting');
  t.is(search.lookups, 1);
  t.deepEqual(search.remotes, []);
  await search.pass(90, 'waiting');
  t.deepEqual(search.remotes, ['192.0.2.8:8000', '192.0.2.7:8000', '192.0.2.1:8000']);
  await search.pass(60, 'up');
  t.is(search.remotes.length, 3);
});

test('a name that can no longer be resolved leaves the address unchanged, and is retried', async (t) => {
  const search = new Simulation();
  search.addresses = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');
  await search.pass(60, 'waiting');
  t.is(search.lookups, 2);
  t.is(search.problem, 'ERR_TTUN_NAME_NOT_RESOLVED');
  search.addresses = ['192.0.2.9'];
  await search.pass(30, 'waiting');
  t.deepEqual(search.remotes, ['192.0.2.9:8000']);
  t.is(search.problem, null);
});

test('an address that the tunnel cannot use now is retried', async (t) => {
  const search = new Simulation();
  search.addresses = ['192.0.2.9'];
  search.accepts = false;
  await search.pass(30, 'waiting');
  t.is(search.problem, 'ERR_TTUN_NO_ROUTE');
  search.accepts = true;
  await search.pass(30, 'waiting');
  t.is(search.problem, null);
  t.deepEqual(search.remotes, ['192.0.2.9:8000']);
});

test('each different reason why the peer cannot be found is reported once, and the end of the last one', async (t) => {
  const search = new Simulation();
  search.addresses = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');
  await search.pass(120, 'waiting');
  t.deepEqual(search.errors, ['gateway.example: not found']);
  search.addresses = new Error('a bug of the resolver');
  await search.pass(60, 'waiting');
  t.deepEqual(search.errors.slice(1), ['a bug of the resolver']);
  search.addresses = ['192.0.2.9'];
  search.accepts = false;
  await search.pass(60, 'waiting');
  t.deepEqual(search.errors.slice(2), ['no route to the peer']);
  search.accepts = true;
  await search.pass(30, 'waiting');
  t.deepEqual(search.errors.slice(3), [null]);
});

test('a problem ends when the peer answers', async (t) => {
  const search = new Simulation();
  search.addresses = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');
  await search.pass(30, 'waiting');
  t.is(search.problem, 'ERR_TTUN_NAME_NOT_RESOLVED');
  await search.pass(0.5, 'up');
  t.is(search.problem, null);
  t.deepEqual(search.errors, ['gateway.example: not found', null]);
});
