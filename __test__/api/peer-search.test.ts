import test from 'ava';
import { formatEndpoint, parseIpAddress } from '../../src/address.ts';
import { TtunError } from '../../src/errors.ts';
import { PeerSearch } from '../../src/peer.ts';
import type { TunnelState } from '../../src/stats.ts';

const PEER = { name: 'gateway.example', port: 8000, local: { address: null, port: 8000 } };

/** A search over time that the test lets pass, and a name that stands for what the test says. */
class Story {
  addresses: readonly string[] | Error = ['192.0.2.1'];
  now = 0;
  packets = 0;
  accepts = true;
  lookups = 0;
  problem: TtunError['code'] | null = null;
  readonly remotes: string[] = [];
  readonly #search = new PeerSearch(
    PEER,
    parseIpAddress('192.0.2.1'),
    {
      packetsToSend: () => this.packets,
      setRemote: (remote) => {
        if (!this.accepts) return Promise.reject(new TtunError('ERR_TTUN_NO_ROUTE', 'no route'));
        this.remotes.push(formatEndpoint(remote));
        return Promise.resolve();
      },
      setPeerProblem: (problem) => {
        this.problem = problem?.code ?? null;
      },
    },
    { resolve: () => this.#resolve(), now: () => this.now },
  );

  /** Lets time pass, in which packets came to be sent, with the state looked at twice a second as a tunnel does. */
  async pass(seconds: number, state: TunnelState, packetsPerSecond = 1): Promise<void> {
    for (let half = 0; half < seconds * 2; half += 1) {
      this.now += 500;
      this.packets += packetsPerSecond;
      await this.#search.look(state);
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

test('a peer that is heard from is left alone', async (t) => {
  const story = new Story();
  story.addresses = ['192.0.2.9'];
  await story.pass(300, 'up');
  t.is(story.lookups, 0);
});

test('a peer to which nothing is sent is left alone', async (t) => {
  const story = new Story();
  await story.pass(300, 'waiting', 0);
  t.is(story.lookups, 0);
});

test('a peer that falls silent is looked up at once, and every 30 s while it lasts', async (t) => {
  const story = new Story();
  await story.pass(100, 'up');
  await story.pass(0.5, 'waiting');
  t.is(story.lookups, 1);
  await story.pass(29.5, 'waiting');
  t.is(story.lookups, 1);
  await story.pass(0.5, 'waiting');
  t.is(story.lookups, 2);
  await story.pass(60, 'waiting');
  t.is(story.lookups, 4);
  await story.pass(60, 'up');
  t.is(story.lookups, 4);
});

test('a peer that was never heard from is looked up after 30 s', async (t) => {
  const story = new Story();
  await story.pass(29.5, 'waiting');
  t.is(story.lookups, 0);
  await story.pass(0.5, 'waiting');
  t.is(story.lookups, 1);
});

test('a new address is taken; one that stays is not set again', async (t) => {
  const story = new Story();
  await story.pass(1, 'up');
  await story.pass(90, 'waiting');
  t.deepEqual(story.remotes, []);
  story.addresses = ['2001:db8::9', '192.0.2.9'];
  await story.pass(30, 'waiting');
  t.deepEqual(story.remotes, ['[2001:db8::9]:8000']);
});

test('among several the address at hand stays at first, and when silence lasts each has its turn', async (t) => {
  const story = new Story();
  story.addresses = ['192.0.2.7', '192.0.2.1', '192.0.2.8'];
  await story.pass(1, 'up');
  await story.pass(0.5, 'waiting');
  t.is(story.lookups, 1);
  t.deepEqual(story.remotes, []);
  await story.pass(90, 'waiting');
  t.deepEqual(story.remotes, ['192.0.2.8:8000', '192.0.2.7:8000', '192.0.2.1:8000']);
  await story.pass(60, 'up');
  t.is(story.remotes.length, 3);
});

test('a name that can not be resolved any more leaves the address as it is, and is tried again', async (t) => {
  const story = new Story();
  story.addresses = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');
  await story.pass(60, 'waiting');
  t.is(story.lookups, 2);
  t.is(story.problem, 'ERR_TTUN_NAME_NOT_RESOLVED');
  story.addresses = ['192.0.2.9'];
  await story.pass(30, 'waiting');
  t.deepEqual(story.remotes, ['192.0.2.9:8000']);
  t.is(story.problem, null);
});

test('a problem is over when the peer is heard from', async (t) => {
  const story = new Story();
  story.addresses = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');
  await story.pass(30, 'waiting');
  t.is(story.problem, 'ERR_TTUN_NAME_NOT_RESOLVED');
  await story.pass(0.5, 'up');
  t.is(story.problem, null);
});

test('an address that the tunnel can not use now is tried again', async (t) => {
  const story = new Story();
  story.addresses = ['192.0.2.9'];
  story.accepts = false;
  await story.pass(30, 'waiting');
  t.is(story.problem, 'ERR_TTUN_NO_ROUTE');
  story.accepts = true;
  await story.pass(30, 'waiting');
  t.is(story.problem, null);
  t.deepEqual(story.remotes, ['192.0.2.9:8000']);
});
