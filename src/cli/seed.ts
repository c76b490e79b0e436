/** The arguments of `ttun <tun> …`, which runs one tunnel. */
import { isIP, isIPv6 } from 'node:net';
import {
  checkEnds,
  formatEndpoint,
  InvalidValue,
  parseIpAddress,
  parseLocal,
  parsePort,
  parseRemote,
} from '../address.ts';
import type { ResolvedOptions } from '../schema.ts';
import { parseDeviceName } from '../network.ts';
import { TUNNEL_DEFAULTS } from '../options.ts';
import { extraArgument, missingArguments, parseOptions, UsageError } from './args.ts';
import type { CommandSpec, Values } from './args.ts';

/** `ttun` without a command: one tunnel. */
export const PROGRAM = {
  name: '',
  usage: ['[options] <tun> <local-ip> <local-port> <remote-ip> <remote-port>'],
  description: [
    'Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.',
    'Prints packets as they pass, in the format of tcpdump, at most ten a second. Packets and JSON go to standard output, messages to standard error. If standard output is closed, the tunnel continues without printing.',
    'Ctrl-C closes the tunnel and prints a summary; pressing it again ends ttun at once.',
  ],
  operands: [
    {
      label: '<tun>',
      description: 'an existing TUN device: ip tuntap add dev tun0 mode tun [user <name>]',
      completes: 'device',
    },
    { label: '<local-ip>', description: 'the address on which this host receives datagrams' },
    { label: '<local-port>', description: 'the UDP port on which this host receives datagrams' },
    {
      label: '<remote-ip>',
      description:
        'the address of the other host, of the same family; a link-local one with its interface, as in fe80::1%eth0. Datagrams from other addresses are not received',
    },
    { label: '<remote-port>', description: 'the UDP port of the other host' },
  ],
  options: {
    quiet: { short: 'q', description: 'do not print packets' },
    verbose: {
      short: 'v',
      description: 'print every packet; those that pass too fast to be printed are counted',
    },
    json: {
      description:
        'print events instead of packets, as lines of JSON: attached, then closed or failed, each with the stats',
    },
    http: {
      value: '<listen>',
      description:
        'serve Prometheus metrics and a live page: 9750 for that port of 127.0.0.1, <address>:<port>, or :<port> for all addresses',
    },
    version: {
      short: 'V',
      description: 'print the versions of ttun, its native part, Node and the kernel; with --json, as JSON',
    },
  },
  examples: [
    {
      does: 'On the host 192.0.2.1; on 192.0.2.2, with the addresses exchanged',
      command: [
        'ip tuntap add dev tun0 mode tun',
        'ip addr add 10.0.2.1/24 dev tun0',
        'ip link set dev tun0 up',
        'ttun tun0 192.0.2.1 8000 192.0.2.2 8000',
      ].join('\n'),
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; if its terminal is closed, it ends by SIGHUP',
    1: 'the tunnel cannot be opened, or failed; a message on standard error says why and what to do',
  },
} as const satisfies CommandSpec;

export type CommandLine = VersionCommand | TunnelCommand;

export interface VersionCommand {
  readonly name: 'version';
  readonly form: 'text' | 'json';
}

export interface TunnelCommand extends SeedArguments {
  readonly name: 'tunnel';
  readonly output: Output;
  /** Where metrics and the page are served; `null` for nowhere. */
  readonly http: string | null;
}

/** What is printed on standard output: some packets, all packets, nothing, or events as JSON. */
export type Output = 'some-packets' | 'all-packets' | 'nothing' | 'json';

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, operands } = parseOptions(PROGRAM, args);
  if (values.version === true) return { name: 'version', form: values.json === true ? 'json' : 'text' };
  const output = chooseOutput(values);
  return { name: 'tunnel', ...parseSeedArguments(operands), output, http: values.http ?? null };
}

function chooseOutput(values: Values<typeof PROGRAM>): Output {
  const [first, second] = OUTPUT_OPTIONS.filter(([option]) => values[option] === true);
  if (second !== undefined) {
    throw new UsageError(`--${first?.[0]} and --${second[0]} cannot be combined`);
  }
  return first?.[1] ?? 'some-packets';
}

const OUTPUT_OPTIONS = [
  ['quiet', 'nothing'],
  ['verbose', 'all-packets'],
  ['json', 'json'],
] as const;

// The five arguments of a tunnel: `<tun> <local-ip> <local-port> <remote-ip> <remote-port>`.

/** In the form that `createTunnel` takes. */
export interface SeedArguments {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

/** @throws UsageError that names the argument */
export function parseSeedArguments(positionals: readonly string[]): SeedArguments {
  if (positionals.length === 0) throw new UsageError(`no arguments given; usage: ${FORM}`);
  refuseJoinedEndpoint(positionals);
  const [device, localIp, localPort, remoteIp, remotePort, extra] = positionals;
  if (extra !== undefined) throw extraArgument(extra, FORM);
  if (
    device === undefined ||
    localIp === undefined ||
    localPort === undefined ||
    remoteIp === undefined ||
    remotePort === undefined
  ) {
    throw argumentsMissingFrom(positionals);
  }
  return {
    device,
    local: endpoint('local', localIp, localPort),
    remote: endpoint('remote', remoteIp, remotePort),
  };
}

interface Place {
  readonly name: string;
  /** Whether the text may be meant for this argument. */
  readonly fits: (text: string) => boolean;
}

export function isAddressLike(text: string): boolean {
  return isIP(text) !== 0 || /[.:]/.test(text);
}

const isPortLike = (text: string): boolean => /^\d+$/.test(text);

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

/** Works out from the form of the given arguments which ones are missing. */
function argumentsMissingFrom(positionals: readonly string[]): UsageError {
  const unplaced = [...positionals];
  const filled = PLACES.map(({ name, fits }) => {
    const [next] = unplaced;
    if (next === undefined || !fits(next)) return name;
    unplaced.shift();
    return next;
  });
  // Arguments that fit none of the places are taken in their order.
  const shown = unplaced.length === 0 ? filled : PLACES.map(({ name }, index) => positionals[index] ?? name);
  const missing = PLACES.filter(({ name }, index) => shown[index] === name).map(({ name }) => name);
  return missingArguments(missing, `ttun ${shown.join(' ')}`);
}

/** Refuses `10.0.1.1:9000`, the form used elsewhere, where two arguments are expected. */
function refuseJoinedEndpoint(positionals: readonly string[]): void {
  for (const text of positionals) {
    const parts = /^\[?(?<address>[^[\]]+)\]?:(?<port>\d+)$/.exec(text)?.groups;
    if (parts === undefined || isIPv6(text)) continue;
    const { address = '', port } = parts;
    if (isIP(address) === 0) continue;
    throw new UsageError(
      `'${text}' is an address and a port in one argument; separate them: ${address} ${port}`,
    );
  }
}

// The options of the tunnel, resolved without the schema, which takes longer to load than everything else.

/** @throws UsageError that lists all problems */
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
  return { device, local, remote, ...TUNNEL_DEFAULTS };
}
