/** What may have been meant by a key that is not known. */
import { suggest } from '../suggestion.ts';
import { formatPath } from './document.ts';
import { isTable } from './schema/actions.ts';
import { childOf, isTableNode, nodeOf } from './schema/nodes.ts';
import type { SchemaNode } from './schema/nodes.ts';

/**
 * What to write in place of the key.
 *
 * @param value what stands under it
 */
export function hintForKey(key: string, value: unknown, table: SchemaNode): string {
  const known = Object.keys(table.entries ?? {});
  const meant = suggestKey(key, known);
  if (meant !== null) return `did you mean ${meant}?`;
  // Nobody writes `mtu` for anything but the MTU of the interface.
  const inner = known.find((name) => hasKey(childOf(table, name), key));
  if (inner !== undefined) return `did you mean ${inner}.${key}?`;
  if (known.includes('tunnels') && isTable(value) && 'device' in value) {
    return `put it among the tunnels: ${formatPath(['tunnels', key])}`;
  }
  return known.length === 1 ? `the only option is ${known[0]}` : `the options are ${known.join(', ')}`;
}

function suggestKey(key: string, known: readonly string[]): string | null {
  const bare = bareOf(key);
  const respelt = known.find((name) => bareOf(name) === bare);
  const other = known.find((name) => OTHER_NAMES.get(bare) === name);
  return respelt ?? other ?? suggest(key, known);
}

/** The same for `allowed_sources`, `allowed-sources` and `AllowedSources`. */
function bareOf(key: string): string {
  return key.toLowerCase().replaceAll(/[_\s-]/g, '');
}

function hasKey(node: SchemaNode | undefined, key: string): boolean {
  return (
    node !== undefined &&
    isTableNode(nodeOf(node)) &&
    node.entries !== undefined &&
    Object.hasOwn(node.entries, key)
  );
}

/** What the same is called elsewhere: in `ip`, WireGuard, OpenVPN. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['tun', 'device'],
  ['dev', 'device'],
  ['name', 'device'],
  ['ifname', 'device'],
  ['listen', 'local'],
  ['bind', 'local'],
  ['source', 'local'],
  ['listenport', 'local'],
  ['peer', 'remote'],
  ['endpoint', 'remote'],
  ['destination', 'remote'],
  ['allowedips', 'allowedSources'],
  ['sources', 'allowedSources'],
  ['mss', 'clampMss'],
  ['mssfix', 'clampMss'],
  ['clampmsstopmtu', 'clampMss'],
  ['mark', 'fwmark'],
  ['somark', 'fwmark'],
  ['sobindtodevice', 'bindDevice'],
  ['address', 'addresses'],
  ['ip', 'addresses'],
  ['route', 'routes'],
  ['user', 'owner'],
  ['queues', 'multiQueue'],
  ['gso', 'segment'],
  ['udpsegment', 'segment'],
  ['gro', 'receive'],
  ['udpgro', 'receive'],
  ['csum', 'checksum'],
  ['vnethdr', 'virtioHeader'],
]);
