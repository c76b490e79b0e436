/** What the arguments ask for, where they name no command. */
import { isIP, isIPv6 } from 'node:net';
import {
  checkEnds,
  formatEndpoint,
  InvalidValue,
  parseDeviceName,
  parseIpAddress,
  parseLocal,
  parsePort,
  parseRemote,
} from '../address.ts';
import { OFFLOAD_DEFAULTS, TUNNEL_DEFAULTS } from '../options.ts';
import type { ResolvedOptions } from '../options.ts';
import { parseOptions, UsageError } from './args.ts';
import type { CommandSpec, Values } from './args.ts';
import { refuseMistypedCommand } from './unknown-command.ts';

export type CommandLine = VersionCommand | TunnelCommand;

export interface VersionCommand {
  readonly name: 'version';
  readonly form: 'text' | 'json';
}

export interface TunnelCommand extends SeedArguments {
  readonly name: 'tunnel';
  readonly output: Output;
  /** Where the metrics and the page are served; `null` for nowhere. */
  readonly http: string | null;
}

/** What goes to standard output: some packets, all, nothing, or events as JSON. */
export type Output = 'some-packets' | 'all-packets' | 'nothing' | 'json';

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): CommandLine {
  refuseMistypedCommand(args);
  const { values, operands } = parseOptions(PROGRAM, args);
  if (values.version === true) return { name: 'version', form: values.json === true ? 'json' : 'text' };
  const output = chooseOutput(values);
  return { name: 'tunnel', ...parseSeedArguments(operands), output, http: values.http ?? null };
}

function chooseOutput(values: Values<typeof PROGRAM>): Output {
  const [first, second] = OUTPUT_OPTIONS.filter(([option]) => values[option] === true);
  if (second !== undefined) {
    throw new UsageError(`--${first?.[0]} and --${second[0]} exclude each other; give one of them`);
  }
  return first?.[1] ?? 'some-packets';
}

const OUTPUT_OPTIONS = [
  ['quiet', 'nothing'],
  ['verbose', 'all-packets'],
  ['json', 'json'],
] as const;

// The five arguments of a tunnel: `<tun> <local-ip> <local-port> <remote-ip> <remote-port>`.

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

// From the five arguments to the options of a tunnel, without the schema, which takes longer to load than all the rest.

/** @throws UsageError that names all that is wrong */
export function resolveSeedArguments(given: SeedArguments): ResolvedOptions {
  const problems: string[] = [];
  const attempt = <T>(name: string, parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      problems.push(`${name}: ${error.message}; ${error.hint}`);
      return undefined;
    }
  };
  const device = attempt('device', () => parseDeviceName(given.device));
  const local = attempt('local', () => parseLocal(given.local));
  const remote = attempt('remote', () => parseRemote(given.remote));
  if (local !== undefined && remote !== undefined) attempt('remote', () => checkEnds(local, remote));

  if (device === undefined || local === undefined || remote === undefined || problems.length > 0) {
    throw new UsageError(problems.join('; '));
  }
  return {
    device,
    local,
    remote,
    allowedSources: null,
    ...TUNNEL_DEFAULTS,
    bindDevice: null,
    fwmark: null,
    interface: null,
    offload: OFFLOAD_DEFAULTS,
  };
}

/** `ttun` without a command: one tunnel. */
export const PROGRAM = {
  name: '',
  summary: 'joins a TUN device to a UDP socket',
  usage: ['[options] <tun> <local-ip> <local-port> <remote-ip> <remote-port>'],
  description: [
    'Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.',
    'Prints packets as they pass, in the manner of tcpdump, at most ten a second. Packets and JSON go to standard output, everything else to standard error. When standard output is closed, the tunnel goes on without printing.',
    'Ctrl-C ends the tunnel with a summary of what it carried; a second one ends it at once.',
  ],
  operands: [
    {
      label: '<tun>',
      description: 'an existing TUN device: ip tuntap add dev tun0 mode tun [user <name>]',
      completes: 'device',
    },
    { label: '<local-ip>', description: 'the address at which this host receives datagrams' },
    { label: '<local-port>', description: 'the UDP port at which it does' },
    {
      label: '<remote-ip>',
      description:
        'the address of the other host, of the same family; link-local ones as fe80::1%eth0. Datagrams of nobody else are received',
    },
    { label: '<remote-port>', description: 'its UDP port' },
  ],
  options: {
    quiet: { short: 'q', description: 'do not print packets' },
    verbose: {
      short: 'v',
      description: 'print every packet; those that pass too fast for that are counted',
    },
    json: {
      description:
        'print no packets, but events as lines of JSON: attached, then closed or failed, each with the stats',
    },
    http: {
      value: '<listen>',
      description:
        'serve metrics for Prometheus and a page that shows the tunnel live: 9750 for that port of 127.0.0.1, <address>:<port>, or :<port> for all addresses',
    },
    version: {
      short: 'V',
      description: 'print the versions of ttun, its native part, Node and the kernel; with --json as JSON',
    },
  },
  examples: [
    {
      does: 'On the host 192.0.2.1, and with the addresses exchanged on the host 192.0.2.2',
      command: [
        'ip tuntap add dev tun0 mode tun',
        'ip addr add 10.0.2.1/24 dev tun0',
        'ip link set dev tun0 up',
        'ttun tun0 192.0.2.1 8000 192.0.2.2 8000',
      ].join('\n'),
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; when its terminal is closed, it ends by SIGHUP',
    1: 'the tunnel cannot be opened, or failed; a line on standard error says why and what to do',
  },
} as const satisfies CommandSpec;
