/**
 * The rules of nftables as nft(8) prints them in JSON (libnftables-json(5)), and their effect on a datagram. Where a condition cannot
 * be evaluated from here, such as a rate limit, both outcomes are followed.
 */
import { isIP } from 'node:net';
import { InvalidValue } from '../address.ts';
import { overlap, parseNetwork } from '../network.ts';

export interface Ruleset {
  readonly baseChains: readonly BaseChain[];
  readonly chains: ReadonlyMap<string, readonly Json[]>;
  /** Elements of the named sets. */
  readonly sets: ReadonlyMap<string, unknown>;
}

/** A chain that the kernel calls for datagrams. */
export interface BaseChain {
  /** `inet`, `ip` or `ip6`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: 'input' | 'output';
  readonly policy: 'accept' | 'drop';
}

/** A UDP datagram on its way in or out. */
export interface Datagram {
  readonly family: 4 | 6;
  readonly source: string;
  /** `null` where it is not known. */
  readonly destination: string | null;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The interface that it arrives on or leaves through; `null` if not known. */
  readonly device: string | null;
  /** For connection tracking: the first of its connection, or not. */
  readonly state: 'new' | 'established';
}

type Json = Readonly<Record<string, unknown>>;

export function parseRuleset(document: unknown): Ruleset {
  const items = listIn(document, 'nftables');
  const chains = new Map<string, Json[]>();
  const declared = items.flatMap((item) => entryOf(item, 'chain'));
  for (const chain of declared) chains.set(keyOf(chain, chain['name']), []);
  for (const rule of items.flatMap((item) => entryOf(item, 'rule'))) {
    chains.get(keyOf(rule, rule['chain']))?.push(rule);
  }
  const sets = items.flatMap((item) => [...entryOf(item, 'set'), ...entryOf(item, 'map')]);
  return {
    baseChains: declared.flatMap(toBaseChain),
    chains,
    sets: new Map(sets.map((set) => [keyOf(set, set['name']), { set: set['elem'] ?? [] }])),
  };
}

function toBaseChain({ family, table, name, type, hook, policy }: Json): BaseChain[] {
  if (type !== 'filter' || (hook !== 'input' && hook !== 'output')) return [];
  const names = { family: String(family), table: String(table), name: String(name) };
  return [{ ...names, hook, policy: policy === 'drop' ? 'drop' : 'accept' }];
}

function keyOf({ family, table }: Json | BaseChain, name: unknown): string {
  return [family, table, name].map(String).join(' ');
}

/** The base chains that certainly drop this datagram. Each is judged separately, because all of them have to accept it. */
export function chainsThatDrop(ruleset: Ruleset, hook: BaseChain['hook'], datagram: Datagram): BaseChain[] {
  const families = new Set(['inet', datagram.family === 4 ? 'ip' : 'ip6']);
  return ruleset.baseChains.filter(
    (chain) => chain.hook === hook && families.has(chain.family) && drops(ruleset, chain, datagram),
  );
}

function drops(ruleset: Ruleset, chain: BaseChain, datagram: Datagram): boolean {
  const walk = new Walk(ruleset, chain, datagram);
  const { accepted, passed } = walk.through(chain.name, 0);
  return !accepted && !(passed && chain.policy === 'accept');
}

/** The possible outcomes for a datagram in a chain; if neither is possible, it is dropped. */
interface Outcome {
  readonly accepted: boolean;
  /** It may leave the chain at its end, or return from it. */
  readonly passed: boolean;
}

/** As in net/netfilter/nf_tables_core.c. */
const DEEPEST_JUMP = 16;

/** `null`: unknown. */
type Judgement = boolean | null;

class Walk {
  readonly #ruleset: Ruleset;
  readonly #base: BaseChain;
  readonly #datagram: Datagram;

  constructor(ruleset: Ruleset, base: BaseChain, datagram: Datagram) {
    this.#ruleset = ruleset;
    this.#base = base;
    this.#datagram = datagram;
  }

  through(chain: unknown, depth: number): Outcome {
    const rules = this.#ruleset.chains.get(keyOf(this.#base, chain));
    if (rules === undefined || depth > DEEPEST_JUMP) return { accepted: true, passed: true };
    let [accepted, passed] = [false, false];
    for (const rule of rules) {
      const { applies, verdict } = this.#judge(listIn(rule, 'expr'));
      if (applies === false || verdict === null) continue;
      const outcome = this.#follow(verdict, depth);
      accepted ||= outcome.accepted;
      passed ||= outcome.returned;
      if (applies === true && !outcome.continues) return { accepted, passed };
    }
    return { accepted, passed: true };
  }

  /** Whether a rule applies, and its verdict: an object such as `{ "accept": null }`; `null` if it has none. */
  #judge(statements: readonly unknown[]): { readonly applies: Judgement; readonly verdict: Json | null } {
    let applies: Judgement = true;
    const hasPort = JSON.stringify(statements).includes('"dport"');
    for (const statement of statements) {
      if (!isObject(statement)) continue;
      if (VERDICTS.some((name) => Object.hasOwn(statement, name))) return { applies, verdict: statement };
      const [xt] = entryOf(statement, 'xt');
      if (xt?.['type'] === 'target' && xt['name'] === 'REJECT') return { applies, verdict: { reject: null } };
      const [map] = entryOf(statement, 'vmap');
      if (map !== undefined) {
        const { verdict, judgement } = this.#lookUp(map);
        return { applies: both(applies, judgement), verdict };
      }
      applies = both(applies, this.#holds(statement, hasPort));
      if (applies === false) break;
    }
    return { applies, verdict: null };
  }

  #follow(
    verdict: Json,
    depth: number,
  ): Outcome & { readonly returned: boolean; readonly continues: boolean } {
    const ended = { accepted: false, passed: false, returned: false, continues: false };
    const [jump, goto] = [entryOf(verdict, 'jump')[0], entryOf(verdict, 'goto')[0]];
    if (jump !== undefined) {
      const { accepted, passed } = this.through(jump['target'], depth + 1);
      return { ...ended, accepted, continues: passed };
    }
    if (goto !== undefined) {
      const { accepted, passed } = this.through(goto['target'], depth + 1);
      return { ...ended, accepted, returned: passed };
    }
    if ('return' in verdict) return { ...ended, returned: true };
    if ('continue' in verdict) return { ...ended, continues: true };
    if ('drop' in verdict || 'reject' in verdict) return ended;
    // This includes queue, whose program may accept it.
    return { ...ended, accepted: true };
  }

  #holds(statement: Json, hasPort: boolean): Judgement {
    const [match] = entryOf(statement, 'match');
    if (match !== undefined) return this.#matches(match);
    const [xt] = entryOf(statement, 'xt');
    // nft does not print the arguments of matches of iptables. Nearly always, connection tracking alone means replies.
    if (xt?.['name'] === 'conntrack' || xt?.['name'] === 'state') {
      return hasPort || this.#datagram.state === 'established';
    }
    if (xt?.['type'] === 'match' && xt['name'] !== 'comment') return null;
    return NEUTRAL.some((name) => Object.hasOwn(statement, name)) ? true : null;
  }

  #matches({ op, left, right }: Json): Judgement {
    const equal = this.#isOneOf(left, right);
    if (op === '==' || op === 'in') return equal;
    return op === '!=' && equal !== null ? !equal : null;
  }

  /** Whether the property that `left` describes is `right`, or one of several. */
  #isOneOf(left: unknown, right: unknown): Judgement {
    const value = this.#valueOf(left);
    if (value === null) return null;
    const found = new Set(this.#elements(right).map((element) => isWithin(value, element)));
    if (found.has(true)) return true;
    return found.has(null) ? null : false;
  }

  #lookUp({ key, data }: Json): { readonly verdict: Json | null; readonly judgement: Judgement } {
    const value = this.#valueOf(key);
    const entries = this.#elements(data).filter((entry) => Array.isArray(entry));
    if (value === null) return { verdict: { accept: null }, judgement: null };
    const [, verdict] = entries.find(([element]) => isWithin(value, elementOf(element)) === true) ?? [];
    return { verdict: isObject(verdict) ? verdict : null, judgement: true };
  }

  /** The members of a set, a list, or a named set; otherwise the value itself. */
  #elements(value: unknown): readonly unknown[] {
    if (typeof value === 'string' && value.startsWith('@')) {
      const set = this.#ruleset.sets.get(keyOf(this.#base, value.slice(1)));
      return set === undefined ? [null] : this.#elements(set);
    }
    if (Array.isArray(value)) return value.map(elementOf);
    if (!isObject(value) || !('set' in value)) return [value];
    return Array.isArray(value['set']) ? value['set'].map(elementOf) : this.#elements(value['set']);
  }

  /** A property of the datagram, as rules compare it; `null` if it is not known. */
  #valueOf(expression: unknown): number | string | null {
    const { family, source, destination, sourcePort, destinationPort, device, state } = this.#datagram;
    const [payload, meta, ct] = ['payload', 'meta', 'ct'].map((name) => entryOf(expression, name)[0]);
    switch ([payload?.['protocol'], payload?.['field'] ?? meta?.['key']].join(' ')) {
      case 'udp dport':
      case 'th dport':
        return destinationPort;
      case 'udp sport':
      case 'th sport':
        return sourcePort;
      case 'tcp dport':
      case 'tcp sport':
      case 'tcp flags':
      case 'icmp type':
      case 'icmpv6 type':
        return 'not UDP';
      case 'ip saddr':
        return family === 4 ? source : 'not IPv4';
      case 'ip6 saddr':
        return family === 6 ? source : 'not IPv6';
      case 'ip daddr':
        return family === 4 ? destination : 'not IPv4';
      case 'ip6 daddr':
        return family === 6 ? destination : 'not IPv6';
      case 'ip protocol':
      case 'ip6 nexthdr':
      case ' l4proto':
        return 'udp';
      case ' nfproto':
        return family === 4 ? 'ipv4' : 'ipv6';
      case ' protocol':
        return family === 4 ? 'ip' : 'ip6';
      case ' iifname':
      case ' iif':
        return this.#base.hook === 'input' ? device : null;
      case ' oifname':
      case ' oif':
        return this.#base.hook === 'output' ? device : null;
      default:
        return ct?.['key'] === 'state' ? state : null;
    }
  }
}

const VERDICTS = ['accept', 'drop', 'reject', 'jump', 'goto', 'return', 'continue', 'queue'];

/** Statements that do not affect the verdict. */
const NEUTRAL = ['counter', 'log', 'comment', 'mangle', 'ct helper', 'notrack', 'set', 'xt'];

/** Of both being true. */
function both(one: Judgement, other: Judgement): Judgement {
  if (one === false || other === false) return false;
  return one === null || other === null ? null : true;
}

/** Elements of sets may have a timeout or a comment. */
function elementOf(value: unknown): unknown {
  return entryOf(value, 'elem')[0]?.['val'] ?? value;
}

/** Whether a value is that of a rule: a number, a name, a range, or a prefix. */
function isWithin(value: number | string, element: unknown): Judgement {
  if (typeof element === 'number') return value === element || (value === 'udp' && element === UDP);
  const [first, last] = listIn(element, 'range');
  if (typeof first === 'number' && typeof last === 'number') {
    return typeof value === 'number' && first <= value && value <= last;
  }
  const [prefix] = entryOf(element, 'prefix');
  if (prefix !== undefined) return isInNetwork(String(value), [prefix['addr'], prefix['len']].join('/'));
  if (typeof element !== 'string') return null;
  if (element.endsWith('*')) return String(value).startsWith(element.slice(0, -1));
  return isIP(element) === 0 ? value === element : isInNetwork(String(value), element);
}

/** Protocol number. */
const UDP = 17;

function isInNetwork(address: string, network: string): Judgement {
  if (isIP(address) === 0) return false;
  try {
    return overlap(parseNetwork(address), parseNetwork(network));
  } catch (error) {
    if (error instanceof InvalidValue) return null;
    throw error;
  }
}

function entryOf(value: unknown, name: string): Json[] {
  const entry = isObject(value) ? value[name] : undefined;
  return isObject(entry) ? [entry] : [];
}

function listIn(value: unknown, name: string): readonly unknown[] {
  const list: unknown = isObject(value) ? value[name] : undefined;
  return Array.isArray(list) ? list : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}
