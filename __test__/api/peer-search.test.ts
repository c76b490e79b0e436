import test from 'ava';
import { formatIpAddress, parseIpAddress } from '../../src/address.ts';
import type { Endpoint, IpAddress } from '../../src/address.ts';
import { TtunError } from '../../src/errors.ts';
import { PeerSearch } from '../../src/peer-search.ts';

const PEER = { name: 'gateway.example', port: 8000, local: { address: null, port: 8000 } };

type Behaviour = 'answers' | 'refuses' | 'silent' | 'no route';

type Addresses = readonly [string, ...string[]];

/** A search in simulated time, for a name and a network that the test sets. */
class Simulation {
  /** The addresses of the name, or why it cannot be resolved. */
  addresses: Addresses | Error;
  /** Addresses that are not mentioned are silent. */
  network: Readonly<Record<string, Behaviour>> = {};
  now = 0;
  lookups = 0;
  /** How long each takes, in seconds; checks go on meanwhile. */
  lookupSeconds = 0;
  current: string;
  /** Each address that was changed to, with the time in seconds. */
  readonly changes: (readonly [address: string, seconds: number])[] = [];
  readonly errors: (string | null)[] = [];
  readonly #search: PeerSearch;
  readonly #pending: { at: number; finish: () => void }[] = [];
  #packets = 0;
  #received = 0;
  #isHeard = false;
  #refusals = 0;

  constructor(addresses: Addresses) {
    this.addresses = addresses;
    [this.current] = addresses;
    const tunnel = {
      observe: () => ({
        packetsToSend: this.#packets,
        received: this.#received,
        isHeard: this.#isHeard,
        refusals: this.#refusals,
        isCutOff: this.network[this.current] === 'no route',
      }),
      setRemote: async ({ address, port }: Endpoint) => {
        checkPort(port);
        const text = formatIpAddress(address);
        if (this.network[text] === 'no route')
          throw new TtunError('ERR_TTUN_NO_ROUTE', `no route to ${text}`);
        this.current = text;
        this.#isHeard = false;
        this.changes.push([text, this.now / 1000]);
      },
      setPeerProblem: (problem: TtunError | null) => this.errors.push(problem?.message ?? null),
    };
    this.#search = new PeerSearch(PEER, parsed(addresses), parseIpAddress(this.current), tunnel, {
      resolve: async () => this.#resolve(),
      now: () => this.now,
      random: () => 0.5,
    });
  }

  /** Lets time pass with packets to send or without, checking twice a second, as a tunnel does. */
  async pass(seconds: number, { sends = true, hears = false } = {}): Promise<this> {
    for (let half = 0; half < seconds * 2; half += 1) {
      this.now += 500;
      if (sends) this.#send();
      if (hears) this.#hear();
      for (const lookup of this.#pending.splice(0)) {
        if (lookup.at <= this.now) lookup.finish();
        else this.#pending.push(lookup);
      }
      const checked = this.#search.check();
      // A lookup that takes long does not keep the next checks from being made.
      if (this.#pending.length === 0) await checked;
      else await new Promise((resolve) => setImmediate(resolve));
    }
    return this;
  }

  addressesTried(): string[] {
    return this.changes.map(([address]) => address);
  }

  #send(): void {
    this.#packets += 1;
    const behaviour = this.network[this.current];
    if (behaviour === 'answers') this.#hear();
    if (behaviour === 'refuses') this.#refusals += 1;
  }

  #hear(): void {
    this.#received += 1;
    this.#isHeard = true;
  }

  async #resolve(): Promise<ReturnType<typeof parsed>> {
    this.lookups += 1;
    const { addresses } = this;
    if (this.lookupSeconds > 0) {
      const at = this.now + this.lookupSeconds * 1000;
      await new Promise<void>((finish) => this.#pending.push({ at, finish }));
    }
    if (addresses instanceof Error) throw addresses;
    return parsed(addresses);
  }
}

function parsed([first, ...others]: Addresses): readonly [IpAddress, ...IpAddress[]] {
  return [parseIpAddress(first), ...others.map((text) => parseIpAddress(text))];
}

function checkPort(port: number): void {
  if (port !== PEER.port) throw new Error(`the port is ${port}`);
}

const NOT_FOUND = new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', 'gateway.example: not found');

test('while the peer answers, its name is not resolved and its address does not change', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'answers' };
  await search.pass(300);
  t.is(search.lookups, 0);
  t.deepEqual(search.changes, []);
});

test('an address that refuses is given up after a second, in the order of the resolver', async (t) => {
  const search = new Simulation(['2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2']);
  search.network = {
    '2001:db8::1': 'refuses',
    '2001:db8::2': 'refuses',
    '192.0.2.1': 'refuses',
    '192.0.2.2': 'answers',
  };
  await search.pass(60);
  t.deepEqual(search.changes, [
    ['2001:db8::2', 1.5],
    ['192.0.2.1', 3],
    ['192.0.2.2', 4.5],
  ]);
  t.is(search.lookups, 0, 'the name has just been looked up');
});

test('an address that is silent is given up after 30 s', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1', '192.0.2.2']);
  search.network = { '192.0.2.2': 'answers' };
  await search.pass(300);
  t.deepEqual(search.changes, [
    ['192.0.2.1', 30.5],
    ['192.0.2.2', 61],
  ]);
});

test('addresses of a family without a route are skipped', async (t) => {
  const search = new Simulation(['192.0.2.1', '2001:db8::1', '2001:db8::2', '192.0.2.2']);
  search.network = {
    '192.0.2.1': 'refuses',
    '2001:db8::1': 'no route',
    '2001:db8::2': 'no route',
    '192.0.2.2': 'answers',
  };
  await search.pass(60);
  t.deepEqual(search.changes, [['192.0.2.2', 1.5]]);
  t.deepEqual(search.errors, []);
});

test('an address whose route is lost is given up like one that refuses', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'answers', '192.0.2.1': 'answers' };
  await search.pass(60);
  search.network = { '2001:db8::1': 'no route', '192.0.2.1': 'answers' };
  await search.pass(60);
  t.deepEqual(search.changes, [['192.0.2.1', 61.5]]);
});

test('a peer is not expected to answer while nothing is sent to it', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'refuses' };
  await search.pass(300, { sends: false });
  t.deepEqual(search.changes, []);
});

test('a name is resolved every minute while nothing is heard, even if there is nothing to send', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(10);
  await search.pass(59, { sends: false });
  t.is(search.lookups, 0);
  await search.pass(1, { sends: false });
  t.is(search.lookups, 1);
  await search.pass(120, { sends: false });
  t.is(search.lookups, 3);
  search.addresses = ['2001:db8::9'];
  await search.pass(60, { sends: false });
  t.deepEqual(search.addressesTried(), ['2001:db8::9']);
  t.deepEqual(search.errors, []);
});

test('while packets arrive, the name is not resolved', async (t) => {
  const search = new Simulation(['192.0.2.1', '192.0.2.2']);
  await search.pass(300, { sends: false, hears: true });
  t.is(search.lookups, 0);
  t.deepEqual(search.changes, []);
});

test('a lookup that fails while there is nothing to send is not a problem', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.addresses = NOT_FOUND;
  await search.pass(120, { sends: false });
  t.is(search.lookups, 2);
  t.deepEqual(search.errors, []);
});

test('the name of a peer that falls silent is resolved at once, and every 30 s', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(100);
  search.network = {};
  await search.pass(30);
  t.is(search.lookups, 0);
  await search.pass(0.5);
  t.is(search.lookups, 1);
  await search.pass(29.5);
  t.is(search.lookups, 1);
  await search.pass(0.5);
  t.is(search.lookups, 2);
  t.deepEqual(search.changes, [], 'the name has no other address');
});

test('the name of a peer that refuses after it has worked is resolved, and its new address is used', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(100);
  search.network = { '192.0.2.1': 'refuses', '2001:db8::9': 'answers' };
  search.addresses = ['2001:db8::9'];
  await search.pass(2);
  t.deepEqual(search.changes, [['2001:db8::9', 101.5]]);
});

test('the address that worked gets every second turn, and the others get shorter turns', async (t) => {
  const search = new Simulation(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  search.network = { '192.0.2.2': 'answers' };
  await search.pass(60);
  t.is(search.current, '192.0.2.2');
  search.network = {};
  search.changes.length = 0;
  const since = search.now / 1000;
  await search.pass(200);
  const tried = search.changes.map(([address, at]) => [address, Math.floor(at - since)] as const);
  t.deepEqual(tried.slice(0, 6), [
    ['192.0.2.3', 30],
    ['192.0.2.2', 36],
    ['192.0.2.1', 46],
    ['192.0.2.2', 67],
    ['192.0.2.3', 97],
    ['192.0.2.2', 128],
  ]);
});

test('a peer that is restarted at the same address is found again soon', async (t) => {
  const search = new Simulation(['192.0.2.1', '192.0.2.2']);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(60);
  search.network = { '192.0.2.1': 'refuses' };
  await search.pass(3);
  t.is(search.current, '192.0.2.2');
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(6);
  t.is(search.current, '192.0.2.1');
});

test('if all addresses refuse, their turns become longer, up to 10 s', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'refuses', '192.0.2.1': 'refuses' };
  await search.pass(600);
  const times = search.changes.map(([, at]) => at);
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  t.deepEqual(gaps.slice(0, 6), [1.5, 2.5, 2.5, 4.5, 4.5, 8.5]);
  t.true(
    gaps.slice(8).every((gap) => gap === 10.5),
    String(gaps),
  );
});

test('if the name resolves to other addresses, the first one is used at once; an unchanged one is not set again', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  await search.pass(91);
  t.deepEqual(search.changes, []);
  search.addresses = ['2001:db8::9', '192.0.2.9'];
  await search.pass(30);
  t.deepEqual(search.addressesTried(), ['2001:db8::9']);
});

test('while the name cannot be resolved, the known addresses are tried', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'answers', '192.0.2.1': 'answers' };
  await search.pass(60);
  search.network = { '192.0.2.1': 'answers' };
  search.addresses = NOT_FOUND;
  await search.pass(60);
  t.deepEqual(search.changes, [['192.0.2.1', 90.5]]);
  t.deepEqual(search.errors, [NOT_FOUND.message, null]);
});

test('the known addresses are also tried while a lookup takes long', async (t) => {
  const search = new Simulation(['2001:db8::1', '192.0.2.1']);
  search.network = { '2001:db8::1': 'answers', '192.0.2.1': 'answers' };
  await search.pass(60);
  search.network = { '2001:db8::1': 'refuses', '192.0.2.1': 'answers' };
  search.lookupSeconds = 20;
  await search.pass(60);
  t.deepEqual(search.changes, [['192.0.2.1', 63.5]]);
  t.is(search.lookups, 1);
});

test('a lookup that ends after the peer was heard again changes nothing', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(60);
  search.network = {};
  search.lookupSeconds = 20;
  search.addresses = ['192.0.2.9'];
  await search.pass(35);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(60);
  t.is(search.lookups, 1);
  t.deepEqual(search.changes, []);
});

test('an address that the tunnel cannot use yet is tried again', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.addresses = ['192.0.2.9'];
  search.network = { '192.0.2.9': 'no route' };
  await search.pass(31);
  t.deepEqual(search.errors, ['no route to 192.0.2.9']);
  search.network = { '192.0.2.9': 'answers' };
  await search.pass(40);
  t.deepEqual(search.addressesTried(), ['192.0.2.9']);
  t.deepEqual(search.errors, ['no route to 192.0.2.9', null]);
});

test('each different reason why the peer cannot be found is reported once, and the end of the last one', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.addresses = NOT_FOUND;
  await search.pass(120);
  t.deepEqual(search.errors, [NOT_FOUND.message]);
  search.addresses = new Error('a bug of the resolver');
  await search.pass(60);
  t.deepEqual(search.errors.slice(1), ['a bug of the resolver']);
  search.addresses = ['192.0.2.9'];
  search.network = { '192.0.2.9': 'no route' };
  await search.pass(60);
  t.deepEqual(search.errors.slice(2), ['no route to 192.0.2.9']);
  search.network = {};
  await search.pass(40);
  t.deepEqual(search.errors.slice(3), [null]);
});

test('two ends that both search find each other, although each refuses while it listens at another address', async (t) => {
  // Each end sends to, and listens at, its present address; both begin with different ones, and check at the same times.
  const names = ['2001:db8::1', '192.0.2.1'] as const;
  const times: number[] = [];
  for (let attempt = 0; attempt < 100; attempt += 1) {
    let now = 0;
    const ends = [0, 1].map((which) => {
      const end = { current: names[which] ?? names[0], packets: 0, received: 0, isHeard: false, refusals: 0 };
      const tunnel = {
        observe: () => ({ ...end, packetsToSend: end.packets, isCutOff: false }),
        setRemote: async ({ address }: Endpoint) => {
          Object.assign(end, { current: address.text, isHeard: false });
        },
        setPeerProblem: () => {},
      };
      const resolve = async () => parsed(names);
      return {
        end,
        search: new PeerSearch(PEER, parsed(names), parseIpAddress(end.current), tunnel, {
          resolve,
          now: () => now,
        }),
      };
    });
    const [one, other] = ends;
    if (one === undefined || other === undefined) throw new Error('there are two');
    while (!(one.end.isHeard && other.end.isHeard)) {
      now += 500;
      for (const [from, to] of [
        [one.end, other.end],
        [other.end, one.end],
      ] as const) {
        from.packets += 1;
        if (from.current === to.current) Object.assign(to, { received: to.received + 1, isHeard: true });
        else from.refusals += 1;
      }
      await one.search.check();
      await other.search.check();
      if (now > 600_000) break;
    }
    times.push(now);
  }
  times.sort((a, b) => a - b);
  t.true((times[50] ?? 0) < 20_000, `in half of the attempts within ${times[50]} ms`);
  t.true((times[99] ?? 0) < 300_000, `in all within ${times[99]} ms`);
});

test('with a local address, only addresses of its family are looked up', async (t) => {
  const families: (number | null)[] = [];
  for (const text of ['192.0.2.7', '2001:db8::7', null]) {
    const local = { address: text === null ? null : parseIpAddress(text), port: 8000 };
    let now = 0;
    const tunnel = {
      observe: () => ({ packetsToSend: 0, received: 0, isHeard: false, refusals: 0, isCutOff: false }),
      setRemote: async () => {},
      setPeerProblem: () => {},
    };
    const resolve = async (_peer: unknown, family: 4 | 6 | null) => {
      families.push(family);
      return parsed(['192.0.2.1']);
    };
    const address = parseIpAddress('192.0.2.1');
    const search = new PeerSearch({ ...PEER, local }, [address], address, tunnel, {
      resolve,
      now: () => now,
    });
    now = 60_000;
    await search.check();
  }
  t.deepEqual(families, [4, 6, null]);
});

test('a problem ends when the peer answers', async (t) => {
  const search = new Simulation(['192.0.2.1']);
  search.addresses = NOT_FOUND;
  await search.pass(31);
  t.deepEqual(search.errors, [NOT_FOUND.message]);
  search.network = { '192.0.2.1': 'answers' };
  await search.pass(0.5);
  t.deepEqual(search.errors, [NOT_FOUND.message, null]);
});
