/** What nftables lets in, by its own program. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { InputChain, PortRange } from '../facts.ts';

/** `null` when nft is not there, or does not answer. */
export async function gatherInputChains(): Promise<readonly InputChain[] | null> {
  // Not by the PATH, on which npm may have put packages of the same name.
  const nft = PROGRAMS.find((path) => existsSync(path));
  if (nft === undefined) return null;
  try {
    const { stdout } = await promisify(execFile)(nft, ['-j', 'list', 'ruleset'], LIMITS);
    return parseRuleset(JSON.parse(stdout));
  } catch {
    return null;
  }
}

const PROGRAMS = ['/usr/sbin/nft', '/sbin/nft', '/usr/bin/nft', '/usr/local/sbin/nft'];
const LIMITS = { timeout: 5000, maxBuffer: 64 * 1024 * 1024 };

/** The format is that of libnftables-json(5). */
export function parseRuleset(document: unknown): InputChain[] {
  const items = listIn(document, 'nftables');
  const rules = items.flatMap((item) => entryOf(item, 'rule'));
  return items
    .flatMap((item) => entryOf(item, 'chain'))
    .filter((chain) => chain['hook'] === 'input' && chain['type'] === 'filter' && chain['policy'] === 'drop')
    .map((chain) => ({
      family: String(chain['family']),
      table: String(chain['table']),
      name: String(chain['name']),
      // Chains of the same table, to which a rule may jump, are counted in.
      acceptedPorts: rules
        .filter((rule) => rule['family'] === chain['family'] && rule['table'] === chain['table'])
        .flatMap(acceptedPorts),
    }));
}

type Json = Readonly<Record<string, unknown>>;

const ALL_PORTS: PortRange = [0, 65_535];

/** The UDP ports that a rule accepts, whatever else it asks for; all of them when it asks for nothing. */
function acceptedPorts(rule: Json): PortRange[] {
  const statements = listIn(rule, 'expr');
  if (!statements.some((statement) => isObject(statement) && 'accept' in statement)) return [];
  const matches = statements.flatMap((statement) => entryOf(statement, 'match'));
  if (matches.length === 0) return [ALL_PORTS];
  return matches.filter(isUdpPort).flatMap(({ op, right }) => (op === '==' ? portsOf(right) : []));
}

/** `udp dport 9000`, or `th dport 9000`. */
function isUdpPort({ left }: Json): boolean {
  const [payload] = entryOf(left, 'payload');
  return payload?.['field'] === 'dport' && (payload['protocol'] === 'udp' || payload['protocol'] === 'th');
}

/** `9000`, `{ "range": [9000, 9009] }`, or `{ "set": [...] }` of those. */
function portsOf(value: unknown): PortRange[] {
  if (typeof value === 'number') return [[value, value]];
  if (!isObject(value)) return [];
  const [first, last] = listIn(value, 'range');
  if (typeof first === 'number' && typeof last === 'number') return [[first, last]];
  return listIn(value, 'set').flatMap(portsOf);
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
