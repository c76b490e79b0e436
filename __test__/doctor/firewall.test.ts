/** The effect of nftables rules, in the JSON of nft, on a datagram. */
import test from 'ava';
import { chainsThatDrop, parseRuleset } from '../../src/doctor/firewall.ts';
import type { Datagram } from '../../src/doctor/firewall.ts';

const CHAIN = { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0 };
const DATAGRAM: Datagram = {
  family: 4,
  source: '192.0.2.2',
  destination: '192.0.2.1',
  sourcePort: 8000,
  destinationPort: 9000,
  device: 'eth0',
  state: 'new',
};
const IPV6 = { family: 6, source: '2001:db8::2', destination: '2001:db8::1' } as const;

type Statement = Readonly<Record<string, unknown>>;

const ACCEPT = { accept: null };
const DROP = { drop: null };
const COUNTER = { counter: { packets: 0, bytes: 0 } };
const xt = (name: string, type = 'match'): Statement => ({ xt: { type, name } });
const match = (left: unknown, right: unknown, op = '=='): Statement => ({ match: { op, left, right } });
const payload = (protocol: string, field: string): unknown => ({ payload: { protocol, field } });
const dport = (right: unknown, op = '=='): Statement => match(payload('udp', 'dport'), right, op);
const meta = (key: string): unknown => ({ meta: { key } });
const CT = { ct: { key: 'state' } };

function rule(...expr: Statement[]): Statement {
  return inChain('input', ...expr);
}

function inChain(chain: string, ...expr: Statement[]): Statement {
  return { rule: { family: 'inet', table: 'filter', chain, expr } };
}

/** Whether a chain with this policy and these rules certainly drops the datagram. */
function drops(
  policy: 'accept' | 'drop',
  items: readonly Statement[],
  datagram: Partial<Datagram> = {},
): boolean {
  const ruleset = parseRuleset({ nftables: [{ chain: { ...CHAIN, policy } }, ...items] });
  return chainsThatDrop(ruleset, 'input', { ...DATAGRAM, ...datagram }).length > 0;
}

test('the policy decides where no rule does', (t) => {
  t.true(drops('drop', []));
  t.false(drops('accept', []));
  t.true(drops('drop', [rule(match(payload('tcp', 'dport'), 22), ACCEPT)]));
});

test('a final rule without conditions decides as a policy does', (t) => {
  for (const end of [DROP, { reject: { type: 'icmpx', expr: 'admin-prohibited' } }, xt('REJECT', 'target')]) {
    t.true(drops('accept', [rule(dport(53), ACCEPT), rule(COUNTER, { log: null }, end)]));
    t.false(drops('accept', [rule(dport(9000), ACCEPT), rule(end)]));
  }
  t.false(drops('drop', [rule(ACCEPT)]));
});

test('a rule accepts a port alone, in a range, in a set, and in a named set', (t) => {
  const named = {
    set: { family: 'inet', table: 'filter', name: 'open', elem: [53, { elem: { val: 9000 } }] },
  };
  for (const right of [9000, { range: [8000, 9000] }, { set: [53, { range: [8999, 9001] }] }, '@open']) {
    t.false(drops('drop', [named, rule(dport(right), ACCEPT)]), JSON.stringify(right));
  }
  for (const right of [53, { range: [9001, 9009] }, { set: [53, 8000] }]) {
    t.true(drops('drop', [named, rule(dport(right), ACCEPT)]), JSON.stringify(right));
  }
  t.true(drops('drop', [rule(dport(9000, '!='), ACCEPT)]));
  t.false(drops('drop', [rule(dport(53, '!='), ACCEPT)]));
  t.false(drops('drop', [rule(match(payload('th', 'dport'), 9000), ACCEPT)]));
});

test('addresses, interfaces and protocols are compared', (t) => {
  const from = (right: unknown, protocol = 'ip'): Statement[] => [
    rule(match(payload(protocol, 'saddr'), right), ACCEPT),
  ];
  t.false(drops('drop', from('192.0.2.2')));
  t.false(drops('drop', from({ prefix: { addr: '192.0.2.0', len: 24 } })));
  t.true(drops('drop', from('192.0.2.3')));
  t.true(drops('drop', from('192.0.2.2'), IPV6));
  t.false(drops('drop', from('2001:db8::2', 'ip6'), IPV6));
  t.false(drops('drop', [rule(match(meta('iifname'), 'eth*'), ACCEPT)]));
  t.true(drops('drop', [rule(match(meta('iifname'), 'lo'), ACCEPT)]));
  t.false(drops('drop', [rule(match(meta('l4proto'), { set: ['tcp', 'udp'] }), ACCEPT)]));
  t.true(drops('drop', [rule(match(meta('l4proto'), 'tcp'), ACCEPT)]));
  t.true(drops('drop', [rule(match(meta('nfproto'), 'ipv6'), ACCEPT)]));
});

test('connection tracking distinguishes replies from the first datagram', (t) => {
  const states = match(CT, ['established', 'related'], 'in');
  const map = (key: string): Statement => ({
    vmap: {
      key: CT,
      data: {
        set: [
          ['invalid', DROP],
          [key, ACCEPT],
        ],
      },
    },
  });
  for (const replies of [states, map('established'), xt('conntrack'), xt('state')]) {
    const rules = [rule(replies, ...('vmap' in replies ? [] : [ACCEPT])), rule(DROP)];
    t.true(drops('accept', rules));
    t.false(drops('accept', rules, { state: 'established' }));
  }
});

test('jumps to other chains are followed, and so are returns from them', (t) => {
  const chain = { chain: { family: 'inet', table: 'filter', name: 'services' } };
  const jump = rule({ jump: { target: 'services' } });
  t.false(drops('drop', [chain, jump, inChain('services', dport(9000), ACCEPT)]));
  t.true(drops('accept', [chain, jump, inChain('services', DROP)]));
  t.true(drops('drop', [chain, jump, inChain('services', { return: null }), inChain('services', ACCEPT)]));
  t.true(drops('drop', [chain, rule({ goto: { target: 'services' } }), rule(ACCEPT)]));
  const endless = inChain('services', { jump: { target: 'services' } });
  t.false(drops('drop', [chain, jump, endless]));
});

test('a condition that cannot be evaluated counts neither as met nor as unmet', (t) => {
  const limit = { limit: { rate: 3, per: 'minute' } };
  t.false(drops('drop', [rule(limit, ACCEPT)]));
  t.false(drops('accept', [rule(limit, DROP)]));
  t.true(drops('accept', [rule(limit, DROP), rule(DROP)]));
  t.false(drops('drop', [rule(xt('multiport'), ACCEPT)]));
  t.true(drops('drop', [rule(dport(53), xt('comment'), ACCEPT)]));
});

test('only filter chains of the hook and the family count', (t) => {
  const chains = [
    { ...CHAIN, hook: 'forward' },
    { ...CHAIN, hook: 'output' },
    { ...CHAIN, type: 'nat' },
    { ...CHAIN, family: 'ip6' },
    { family: 'inet', table: 'filter', name: 'jumped-to' },
  ];
  const ruleset = parseRuleset({
    nftables: chains.map((chain) => ({ chain: { ...chain, policy: 'drop' } })),
  });
  t.deepEqual(chainsThatDrop(ruleset, 'input', DATAGRAM), []);
  t.is(chainsThatDrop(ruleset, 'output', DATAGRAM).length, 1);
  for (const nonsense of [null, 1, {}, { nftables: {} }, { nftables: [null, {}, { rule: null }] }]) {
    t.deepEqual(chainsThatDrop(parseRuleset(nonsense), 'input', DATAGRAM), []);
  }
});
