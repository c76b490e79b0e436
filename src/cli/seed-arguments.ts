/** The five arguments of a tunnel: `<tun> <local-ip> <local-port> <remote-ip> <remote-port>`. */
import { isIP, isIPv6 } from 'node:net';
import { formatEndpoint, InvalidValue, parseIpAddress, parsePort } from '../address.ts';
import { UsageError } from './usage-error.ts';

/** As `createTunnel` takes them. */
export interface SeedArguments {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

/** @throws UsageError that names the argument */
export function parseSeedArguments(positionals: readonly string[]): SeedArguments {
  if (positionals.length === 0) throw new UsageError(`the arguments are missing; type: ${FORM}`);
  refuseJoinedEndpoint(positionals);
  const [device, localIp, localPort, remoteIp, remotePort, extra] = positionals;
  if (extra !== undefined) {
    throw new UsageError(`'${extra}' is one argument too many; type: ${FORM}`);
  }
  if (
    device === undefined ||
    localIp === undefined ||
    localPort === undefined ||
    remoteIp === undefined ||
    remotePort === undefined
  ) {
    throw missingArguments(positionals);
  }
  return {
    device,
    local: endpoint('local', localIp, localPort),
    remote: endpoint('remote', remoteIp, remotePort),
  };
}

interface Place {
  readonly name: string;
  /** Whether the argument may be meant for this place. */
  readonly fits: (text: string) => boolean;
}

const isPortLike = (text: string): boolean => /^\d+$/.test(text);
const isAddressLike = (text: string): boolean => isIP(text) !== 0 || /[.:]/.test(text);

const PLACES: readonly Place[] = [
  { name: '<tun>', fits: (text) => isIP(text) === 0 },
  { name: '<local-ip>', fits: isAddressLike },
  { name: '<local-port>', fits: isPortLike },
  { name: '<remote-ip>', fits: isAddressLike },
  { name: '<remote-port>', fits: isPortLike },
];

const FORM = `ttun ${PLACES.map(({ name }) => name).join(' ')}`;

function endpoint(side: 'local' | 'remote', ip: string, port: string): string {
  const address = named(`<${side}-ip>`, () => parseIpAddress(ip));
  return formatEndpoint({ address, port: named(`<${side}-port>`, () => parsePort(port)) });
}

function named<T>(argument: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`${argument}: ${error.message}; ${error.hint}`);
  }
}

/** Tells by the looks of those that are there which of the arguments are missing. */
function missingArguments(positionals: readonly string[]): UsageError {
  const unplaced = [...positionals];
  const filled = PLACES.map(({ name, fits }) => {
    const [next] = unplaced;
    if (next === undefined || !fits(next)) return name;
    unplaced.shift();
    return next;
  });
  // Arguments that look like none of what is expected: take them in their order.
  const shown = unplaced.length === 0 ? filled : PLACES.map(({ name }, index) => positionals[index] ?? name);
  const missing = PLACES.filter(({ name }, index) => shown[index] === name).map(({ name }) => name);
  const verb = missing.length === 1 ? 'is' : 'are';
  return new UsageError(`${missing.join(' ')} ${verb} missing; type: ttun ${shown.join(' ')}`);
}

/** `10.0.1.1:9000`, as elsewhere, where two arguments are expected. */
function refuseJoinedEndpoint(positionals: readonly string[]): void {
  for (const text of positionals) {
    const parts = /^\[?(?<address>[^[\]]+)\]?:(?<port>\d+)$/.exec(text)?.groups;
    if (parts === undefined || isIPv6(text)) continue;
    const { address = '', port } = parts;
    if (isIP(address) === 0) continue;
    throw new UsageError(`'${text}' is address and port in one; type them apart: ${address} ${port}`);
  }
}
