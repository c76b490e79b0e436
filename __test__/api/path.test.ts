/** The measurement of a path, on simulated paths. */
import test from 'ava';
import type { EchoAnswer, EchoRequest, SendEchoes } from '../../src/echo.ts';
import { guessPeers } from '../../src/measure-path.ts';
import { measurePath } from '../../src/path.ts';
import type { PathMeasurement } from '../../src/path.ts';

interface Path {
  /** MTU of the path to the peer, and of this host's interface. */
  readonly mtu: number;
  readonly interfaceMtu: number;
  /** The way back, on which the peer's host longer. */
  readonly mtuBack: number;
  readonly peerDeviceMtu: number;
  readonly overhead: number;
  readonly most: number;
  /** Whether the fragment of a datagram passes. */
  readonly dropsFragments: boolean;
  /** Whether this copy is lost, of each length. */
  readonly isLost: (number: number) => boolean;
  /** The ECN field of a datagram at the other end; `null` if it is lost. */
  readonly ecn: (field: number) => number | null;
  /** Whether the peer follows RFC 6040, and copies the field to its own datagrams. */
  readonly peerReadsEcn: boolean;
  readonly peerWritesEcn: boolean;
}

const CLEAN: Path = {
  mtu: 1500,
  interfaceMtu: 1500,
  mtuBack: 1500,
  peerDeviceMtu: 1472,
  overhead: 28,
  most: 1472,
  dropsFragments: false,
  isLost: () => false,
  ecn: (field) => field,
  peerReadsEcn: true,
  peerWritesEcn: false,
};

/** Measures a simulated path; also counts the batches, each of which costs a round trip. */
async function measure(
  differences: Partial<Path>,
): Promise<PathMeasurement & { readonly batches: number; readonly sent: number }> {
  const path = { ...CLEAN, ...differences };
  let [batches, sent] = [0, 0];
  const send: SendEchoes = (requests) => {
    batches += 1;
    return Promise.resolve(
      requests.map((request) => {
        sent += 1;
        return path.isLost(sent) ? null : answerTo(request, path);
      }),
    );
  };
  const { overhead, most } = path;
  const measured = await measurePath({ address: '10.0.2.2', overhead, most }, send);
  return { ...measured, batches, sent };
}

function answerTo(request: EchoRequest, path: Path): EchoAnswer | null {
  const { overhead, mtu, interfaceMtu, mtuBack, peerDeviceMtu, dropsFragments } = path;
  const datagram = request.bytes + overhead;
  if (request.isWhole && datagram > Math.min(mtu, interfaceMtu)) return null;
  if (dropsFragments && datagram > mtu) return null;
  const outer = path.ecn(request.outerTos & 3);
  if (outer === null) return null;
  const inner = request.tos & 3;
  if (inner === 0 && outer === 3 && path.peerReadsEcn) return null;
  const combined =
    inner !== 0 && path.peerReadsEcn && (outer === 3 || (outer === 1 && inner === 2)) ? outer : inner;
  const bytes =
    request.bytes <= peerDeviceMtu ? request.bytes : 20 + Math.floor((peerDeviceMtu - 20) / 8) * 8;
  const isReassembled = bytes + overhead > mtuBack;
  if (isReassembled && dropsFragments) return null;
  return {
    rttMs: 10 + (request.bytes % 3),
    bytes,
    tos: combined,
    outerTos: path.peerWritesEcn ? combined : 0,
    isReassembled,
  };
}

test('a clean path', async (t) => {
  const { batches, sent, ...measured } = await measure({});
  t.deepEqual(measured, {
    address: '10.0.2.2',
    requests: 20,
    answers: 20,
    rtt: { min: 10, median: 10, max: 10 },
    largestSent: { bytes: 1472, isLimit: false },
    largestReceived: { bytes: 1472, isLimit: false },
    peerMtu: null,
    longer: null,
    ecnSent: 'kept',
    ecnReceived: 'unknown',
  });
  t.deepEqual([batches, sent], [3, 20 + 3 * 11 + 32]);
});

test('a peer that does not answer', async (t) => {
  const { sent, ...measured } = await measure({ isLost: () => true });
  t.like(measured, { requests: 20, answers: 0, rtt: null, largestSent: null, ecnSent: 'unknown' });
  t.is(sent, 23);
});

test('a router that marks everything, so that the peer drops packets that do not use ECN', async (t) => {
  const measured = await measure({ ecn: () => 3 });
  t.like(measured, { answers: 0, rtt: null, ecnSent: 'marked' });
});

test('the limit of every path is found exactly, in a few rounds', async (t) => {
  for (const overhead of [28, 48]) {
    for (let mtu = 1280; mtu < 1500; mtu += 1) {
      const { largestSent, largestReceived, longer, batches } = await measure({
        mtu,
        overhead,
        most: 1500 - overhead,
      });
      t.deepEqual(largestSent, { bytes: mtu - overhead, isLimit: true }, `${mtu}`);
      t.deepEqual(largestReceived, { bytes: 1500 - overhead, isLimit: false }, `${mtu}`);
      t.deepEqual(longer, { bytes: 1500 - overhead, requests: 10, answers: 10 });
      t.true(batches <= 7, `${mtu}: ${batches}`);
    }
  }
});

test('the limit of the way back is found from reassembled replies', async (t) => {
  for (const mtuBack of [1280, 1281, 1350, 1400, 1491]) {
    const { largestSent, largestReceived } = await measure({ mtuBack });
    t.deepEqual(largestSent, { bytes: 1472, isLimit: false });
    t.deepEqual(largestReceived, { bytes: mtuBack - 28, isLimit: true });
  }
  const both = await measure({ mtu: 1400, mtuBack: 1450 });
  t.deepEqual(both.largestSent, { bytes: 1372, isLimit: true });
  t.deepEqual(both.largestReceived, { bytes: 1422, isLimit: true });
});

test('where fragments are dropped, nothing is claimed about longer replies', async (t) => {
  const { largestSent, largestReceived, longer } = await measure({ mtu: 1400, dropsFragments: true });
  t.deepEqual(largestSent, { bytes: 1372, isLimit: true });
  t.deepEqual(largestReceived, { bytes: 1372, isLimit: false });
  t.deepEqual(longer, { bytes: 1472, requests: 10, answers: 0 });
});

test('a way back that drops fragments looks like a limit of both ways', async (t) => {
  const { largestSent, largestReceived } = await measure({ mtuBack: 1400, dropsFragments: true });
  t.deepEqual(largestSent, { bytes: 1372, isLimit: true });
  t.deepEqual(largestReceived, { bytes: 1372, isLimit: false });
});

test('a peer whose device has a smaller MTU longer its replies inside the tunnel', async (t) => {
  const { largestSent, largestReceived, peerMtu } = await measure({ peerDeviceMtu: 1400 });
  t.deepEqual(largestSent, { bytes: 1472, isLimit: false });
  t.deepEqual(largestReceived, { bytes: 1396, isLimit: false });
  t.is(peerMtu, 1396);
});

test('losses by chance do not change the limits', async (t) => {
  for (let seed = 1; seed <= 50; seed += 1) {
    let state = seed;
    const isLost = (): boolean => {
      // Park and Miller, 1988.
      state = (state * 48_271) % 2_147_483_647;
      return state % 100 < 3;
    };
    const { largestSent, largestReceived, requests, answers } = await measure({ mtu: 1400, isLost });
    t.true(answers > 0 && answers <= requests);
    t.deepEqual(largestSent, { bytes: 1372, isLimit: true }, `${seed}`);
    t.deepEqual(largestReceived, { bytes: 1472, isLimit: false }, `${seed}`);
  }
});

test('a path that drops what comes fast has no limit for what comes slowly', async (t) => {
  const path = { ...CLEAN, overhead: 28, most: 1472 };
  const send: SendEchoes = (requests, { distanceMs }) =>
    Promise.resolve(
      requests.map((request) => (distanceMs < 20 && request.bytes > 1400 ? null : answerTo(request, path))),
    );
  const { largestSent, longer } = await measurePath({ address: '10.0.2.2', overhead: 28, most: 1472 }, send);
  t.deepEqual([largestSent, longer], [{ bytes: 1472, isLimit: false }, null]);
});

test('a fifth of the longer packets is lost', async (t) => {
  const { longer } = await measure({ mtu: 1400, isLost: (number) => number % 5 === 0 });
  t.deepEqual(longer, { bytes: 1472, requests: 10, answers: 8 });
});

test('jumbo frames', async (t) => {
  const jumbo = { interfaceMtu: 9000, most: 8972, mtuBack: 9000, peerDeviceMtu: 8972 };
  const whole = await measure({ ...jumbo, mtu: 9000 });
  t.deepEqual(whole.largestSent, { bytes: 8972, isLimit: false });
  const { largestSent, longer } = await measure({ ...jumbo, mtu: 1500 });
  t.deepEqual(largestSent, { bytes: 1472, isLimit: true });
  t.deepEqual(longer, { bytes: 2752, requests: 10, answers: 10 });
});

const TREATMENTS: readonly (readonly [string, Partial<Path>, sent: string, received: string])[] = [
  ['cleared by the path', { ecn: () => 0 }, 'cleared', 'unknown'],
  ['not read by the peer', { peerReadsEcn: false }, 'cleared', 'unknown'],
  ['marks everywhere', { ecn: (field) => (field === 0 ? 0 : 3) }, 'marked', 'unknown'],
  ['dropped', { ecn: (field) => (field === 0 ? 0 : null) }, 'dropped', 'unknown'],
  ['kept both ways', { peerWritesEcn: true }, 'kept', 'kept'],
];

for (const [what, path, sent, received] of TREATMENTS) {
  test(`ECN: ${what}`, async (t) => {
    const { ecnSent, ecnReceived } = await measure(path);
    t.deepEqual([ecnSent, ecnReceived], [sent, received]);
  });
}

test('the address of the peer is guessed', (t) => {
  t.deepEqual(guessPeers(['10.0.2.1/24'], ['10.0.2.0/24']), ['10.0.2.2']);
  t.deepEqual(guessPeers(['10.0.2.2/24', 'fd00:2::2/64'], []), ['10.0.2.1', 'fd00:2::1']);
  t.deepEqual(guessPeers(['10.0.2.77/24'], []), ['10.0.2.1']);
  t.deepEqual(guessPeers(['10.0.2.6/30', 'fd00::1/127'], []), ['10.0.2.5', 'fd00::']);
  t.deepEqual(guessPeers(['10.0.2.6/31'], []), ['10.0.2.7']);
  t.deepEqual(guessPeers(['10.0.2.1/32'], ['10.9.0.1/32', '10.0.2.1/32', '0.0.0.0/0']), ['10.9.0.1']);
  t.deepEqual(guessPeers(['fe80::1/64'], ['fe80::/64']), []);
  t.deepEqual(guessPeers([], []), []);
});
