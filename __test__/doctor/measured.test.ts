/** The measured path: what its findings are. */
import test from 'ava';
import { checkMeasuredPath } from '../../src/doctor/path-checks.ts';
import type { PathMeasurement } from '../../src/path.ts';
import { factsOf } from './facts-of.ts';
import type { Around } from './facts-of.ts';

const CLEAN: PathMeasurement = {
  address: '10.0.2.2',
  requests: 20,
  answers: 20,
  rtt: { min: 0.93, median: 1.24, max: 12.6 },
  largestSent: { bytes: 1472, isLimit: false },
  largestReceived: { bytes: 1472, isLimit: false },
  peerMtu: null,
  longer: null,
  ecnSent: 'unknown',
  ecnReceived: 'unknown',
};

/** Each finding as `code: what → what to do`. */
function found(differences: Partial<PathMeasurement>, around: Around = {}): string[] {
  const measured = { measurement: { ...CLEAN, ...differences } };
  return checkMeasuredPath(factsOf({ measured, ...around })).map(
    ({ code, what, commands, advice }) =>
      `${code ?? 'ok'}: ${[what, ...commands, ...(advice === null ? [] : [advice])].join(' → ')}`,
  );
}

const ANSWERS = [
  'ok: 10.0.2.2 answers in 1.2 ms (0.93 to 13 ms)',
  'ok: no packet of 20 was lost on the way to the peer and back',
];
const SENT = 'ok: packets of up to 1472 bytes reach the peer unfragmented';
const RECEIVED = 'ok: packets of 1472 bytes arrive from the peer unfragmented';

test('a clean path', (t) => {
  t.deepEqual(found({}), [...ANSWERS, SENT, RECEIVED]);
});

test('a path that was not measured, and one without answers', (t) => {
  const [notMeasured] = checkMeasuredPath(
    factsOf({ measured: { measurement: null, problem: 'tun0 is not open', hint: 'open it' } }),
  );
  t.like(notMeasured, {
    severity: 'problem',
    code: 'path-not-measured',
    what: 'tun0 is not open',
    advice: 'open it',
  });
  t.deepEqual(found({ rtt: null, answers: 0, largestSent: null, largestReceived: null }), [
    'path-unanswered: 10.0.2.2 did not answer any of 20 echo requests → if the peer has another address inside the tunnel, or does not answer pings: ttun doctor --path <address>',
  ]);
  const marked = {
    rtt: null,
    answers: 0,
    largestSent: null,
    largestReceived: null,
    ecnSent: 'marked',
  } as const;
  t.deepEqual(found(marked), [
    'path-unanswered: 10.0.2.2 did not answer any of 20 echo requests → only packets that use ECN pass',
    'ecn-marked: all datagrams reach the peer as congested (CE), even those that do not use ECN → find the router that writes the ECN field of all datagrams',
  ]);
});

test('losses', (t) => {
  t.deepEqual(found({ answers: 17 }).slice(1, 2), [
    'path-loss: 3 of 20 packets were lost on the way to the peer or back (15 %) → watch it over time with a probe, or examine the path below the tunnel: mtr -u',
  ]);
});

const LIMITED = {
  largestSent: { bytes: 1372, isLimit: true },
  longer: { bytes: 1472, requests: 10, answers: 10 },
} as const;

test('a limit that no router reports', (t) => {
  const what =
    'path-mtu-unreported: packets of more than 1372 bytes do not reach the peer unfragmented; the MTU of tun0 is 1472';
  const fragments = 'ok: 10 of 10 packets of 1472 bytes were answered: fragments pass';
  t.deepEqual(found(LIMITED).slice(2), [`${what} → ip link set dev tun0 mtu 1372`, RECEIVED, fragments]);
  t.deepEqual(found(LIMITED, { options: { interface: { mtu: 1472 } } }).slice(2), [
    `${what} → set mtu = 1372 in the configuration`,
    RECEIVED,
    fragments,
  ]);
  const both = { device: { addresses: ['10.0.2.1/24', 'fd00::1/64'] } };
  const small = found({ ...LIMITED, largestSent: { bytes: 1172, isLimit: true } }, both);
  t.true(small[2]?.endsWith(' → ip link set dev tun0 mtu 1280'));
});

test('a limit that the kernel knows, or that the device keeps, is not reported again', (t) => {
  const reaches = 'ok: packets of up to 1372 bytes reach the peer unfragmented';
  t.is(found(LIMITED, { route: { mtu: 1400 } })[2], reaches);
  t.is(found(LIMITED, { device: { mtu: 1372 } })[2], reaches);
});

test('with pathMtu = "discover", senders are told of a limit that is known, and a probe finds one that is not', (t) => {
  const options = { pathMtu: 'discover' } as const;
  const lost = { ...LIMITED, longer: { ...LIMITED.longer, answers: 0 } };
  const reaches = 'ok: packets of up to 1372 bytes reach the peer unfragmented';
  t.deepEqual(found(lost, { options, route: { mtu: 1400 } }).slice(2), [reaches, RECEIVED]);
  const unknown = found(lost, { options }).slice(2);
  t.regex(unknown[0] ?? '', /mtu 1372 → or set a probe, with which the tunnel searches the limit$/);
  t.regex(unknown[2] ?? '', /^longer-lost: none of 10/);
});

test('longer packets that are lost', (t) => {
  const dropped = { ...LIMITED, longer: { bytes: 1472, requests: 10, answers: 0 } };
  t.is(
    found(dropped)[4],
    'longer-lost: none of 10 packets of 1472 bytes was answered → with the MTU above, there are no such packets',
  );
  t.is(
    found(dropped, { device: { mtu: 1372 } })[4],
    'ok: none of 10 packets of 1472 bytes was answered, but those of tun0 are shorter',
  );
  const some = { ...LIMITED, longer: { bytes: 1472, requests: 10, answers: 4 } };
  t.regex(found(some)[4] ?? '', /^longer-lost: 4 of 10 packets of 1472 bytes were answered /);
});

test('replies in fragments', (t) => {
  const largestReceived = { bytes: 1400, isLimit: true };
  t.is(
    found({ largestReceived })[3],
    'path-mtu-back: packets of more than 1400 bytes arrive from the peer in fragments → on the other host: ip link set dev <device> mtu 1400',
  );
  t.is(
    found({ largestReceived }, { device: { mtu: 1400 } })[3],
    'ok: packets of 1400 bytes arrive from the peer unfragmented',
  );
});

test('a peer whose device has another MTU', (t) => {
  t.is(
    found({ peerMtu: 1396 })[4],
    'mtu-differs: the device of the peer has an MTU of 1396 to 1403, and tun0 one of 1472 → give both devices the smaller one',
  );
  for (const mtu of [1396, 1400, 1403])
    t.is(found({ peerMtu: 1396 }, { device: { mtu } }).length, 4, `${mtu}`);
});

for (const [treatment, off, on] of [
  ['kept', /^ecn-unused: .* → to use them: ecn = true on both hosts$/, /^ok: .* reach the peer$/],
  ['cleared', /^ok: .* would be of no use$/, /^ecn-cleared: .* → set ecn = false in the configuration$/],
  ['marked', /^ok: .* as congested: leave ecn = false$/, /^ecn-marked: .* as congested → set ecn = false/],
  ['dropped', /^ok: no datagram with ECN would .* leave ecn = false$/, /^ecn-dropped: .* → set ecn = false/],
] as const) {
  test(`ECN that is ${treatment}, without and with the option`, (t) => {
    t.regex(found({ ecnSent: treatment })[4] ?? '', off);
    t.regex(found({ ecnSent: treatment }, { options: { ecn: true } })[4] ?? '', on);
  });
}

test('ECN from the peer', (t) => {
  t.is(found({ ecnReceived: 'kept' })[4], 'ok: congestion marks (ECN) arrive from the peer');
  t.regex(found({ ecnReceived: 'marked' })[4] ?? '', /^ecn-marked: .* → set ecn = false on the other host$/);
});
