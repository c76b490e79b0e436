/** The arguments of `ttun <tun> …`, which runs one tunnel. */
import { isIP, isIPv6 } from 'node:net';
import {
  checkEnds,
  checkRemoteAddress,
  checkUnicast,
  InvalidValue,
  parseIpAddress,
  parsePort,
  parseRemote,
  isOpenEnd,
} from '../address.ts';
import type { Endpoint, LocalEndpoint, RemoteEndpoint } from '../address.ts';
import { checkLearned, checkPeers, parsePeers } from '../learn.ts';
import type { IpNetwork } from '../network.ts';
import type { ResolvedOptions } from '../schema.ts';
import { parseDeviceName } from '../network.ts';
import { TUNNEL_DEFAULTS } from '../options.ts';
import { checkInterval, checkProbeSize, DEFAULT_INTERVAL_MS, parseProbeAddress } from '../probe-options.ts';
import type { ResolvedProbe } from '../probe-options.ts';
import { parseBusyPoll, parseDuration, parseRate } from '../quantity.ts';
import { extraArgument, missingArguments, parseOptions, UsageError } from './args.ts';
import type { CommandSpec, Values } from './args.ts';

/** `ttun` without a command: one tunnel. */
export const PROGRAM = {
  name: '',
  usage: [
    '[options] <tun> <local-ip> <local-port> <remote-ip> <remote-port>',
    '--peers <networks> <tun> <local-ip> <local-port> learn',
  ],
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
        'the address of the other host, of the same family; a link-local address includes its interface, as in fe80::1%eth0. Datagrams from other addresses are not received. Or learn, for a peer behind NAT: it has to send first, from one of the --peers',
    },
    { label: '<remote-port>', description: 'the UDP port of the other host' },
  ],
  options: {
    quiet: { short: 'q', description: 'do not print packets' },
    verbose: {
      short: 'v',
      description: 'print every packet; packets that arrive too fast to be printed are counted',
    },
    json: {
      description:
        'print events instead of packets, as lines of JSON: attached, each change, then closed or failed, with the stats',
    },
    peers: {
      value: '<networks>',
      description:
        'with learn in place of the remote address and port: the networks from which the peer may send, separated by commas: 203.0.113.0/24,198.51.100.7',
    },
    probe: {
      value: '<address>',
      description:
        'send echo requests to an address of the peer inside the tunnel, measure round-trip time, jitter and loss, and keep entries of NAT and firewalls alive; the device needs an address',
    },
    'probe-interval': {
      value: '<time>',
      description: 'time between two of them, such as 200ms, 1s or 1m; by default 1s',
    },
    'probe-size': {
      value: '<bytes>',
      description: 'length of each, from its inner IP header on; by default that of ping, 84 or 104 bytes',
    },
    rate: {
      value: '<rate>',
      description:
        "pace datagrams to a rate a little below that of a bottleneck which is not in this host, such as a modem: '18 Mbit/s', with outer headers; see docs/latency.md",
    },
    'busy-poll': {
      value: '<time>',
      description:
        'poll for that long after the last packet before sleeping, such as 50us: round trips are shorter, at the cost of processor time; see docs/latency.md',
    },
    http: {
      value: '<listen>',
      description:
        'serve Prometheus metrics and a live page: <port> on 127.0.0.1, <address>:<port>, or :<port> on all addresses',
    },
    version: {
      short: 'V',
      description: 'print the versions of ttun, its native part, Node and the kernel; with --json, as JSON',
    },
  },
  examples: [
    {
      does: 'On the host 192.0.2.1; on 192.0.2.2, swap the addresses',
      command: [
        'ip tuntap add dev tun0 mode tun',
        'ip addr add 10.0.2.1/24 dev tun0',
        'ip link set dev tun0 up',
        'ttun tun0 192.0.2.1 8000 192.0.2.2 8000',
      ].join('\n'),
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; closing its terminal ends it with SIGHUP',
    1: 'the tunnel cannot be opened, or failed; a message on standard error says why and what to do',
  },
} as const satisfies CommandSpec;

export interface VersionCommand {
  readonly name: 'version';
  readonly form: 'text' | 'json';
}

export interface TunnelCommand {
  readonly name: 'tunnel';
  readonly options: ResolvedOptions;
  readonly output: Output;
  /** Where metrics and the page are served; `null` for nowhere. */
  readonly http: string | null;
}

/** The content of standard output: some packets, all packets, nothing, or events as JSON. */
export type Output = 'some-packets' | 'all-packets' | 'nothing' | 'json';

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): VersionCommand | TunnelCommand {
  const { values, operands } = parseOptions(PROGRAM, args);
  if (values.version === true) return { name: 'version', form: values.json === true ? 'json' : 'text' };
  const output = chooseOutput(values);
  const options = {
    ...parseOperands(operands, values.peers),
    probe: parseProbe(values),
    rate: parseRateOption(values),
    busyPoll: parseBusyPollOption(values),
  };
  return { name: 'tunnel', options, output, http: values.http ?? null };
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

function parseProbe({
  probe,
  'probe-interval': interval,
  'probe-size': size,
}: Values<typeof PROGRAM>): ResolvedProbe | null {
  if (probe === undefined) {
    if (interval === undefined && size === undefined) return null;
    const given = interval === undefined ? '--probe-size' : '--probe-interval';
    throw new UsageError(`${given} needs --probe <address>`);
  }
  const address = named('--probe', () => parseProbeAddress(probe));
  const intervalMs =
    interval === undefined
      ? DEFAULT_INTERVAL_MS
      : named('--probe-interval', () => checkInterval(parseDuration(interval)));
  const bytes = size === undefined ? null : Number(size);
  if (bytes !== null) named('--probe-size', () => checkProbeSize(bytes, address));
  return { address, intervalMs, size: bytes };
}

function parseRateOption({ rate }: Values<typeof PROGRAM>): number | null {
  return rate === undefined ? null : named('--rate', () => parseRate(rate));
}

function parseBusyPollOption({ 'busy-poll': time }: Values<typeof PROGRAM>): number | null {
  return time === undefined ? null : named('--busy-poll', () => parseBusyPoll(time));
}

/** Resolves the options without the schema, which takes longer to load than everything else. */
function parseOperands(operands: readonly string[], networks: string | undefined): ResolvedOptions {
  if (operands.length === 0) throw new UsageError(`no arguments given; usage: ${FORM}`);
  refuseJoinedEndpoint(operands);
  const [tun, localIp, localPort, remoteIp, remotePort, extra] = operands;
  const learns = remoteIp === 'learn';
  if (extra !== undefined) throw extraArgument(extra, FORM);
  if (learns && remotePort !== undefined) throw extraArgument(remotePort, LEARNING_FORM);
  if (tun !== undefined && localIp !== undefined && localPort !== undefined && learns) {
    const device = named('<tun>', () => parseDeviceName(tun));
    const local = endpoint('local', localIp, localPort);
    named('<local-ip>', () => checkUnicast(local.address));
    return { ...TUNNEL_DEFAULTS, device, local, ...learning(local, parseRemote(remoteIp), networks) };
  }
  if (
    tun === undefined ||
    localIp === undefined ||
    localPort === undefined ||
    remoteIp === undefined ||
    remotePort === undefined
  ) {
    throw argumentsMissingFrom(operands);
  }
  const device = named('<tun>', () => parseDeviceName(tun));
  const local = endpoint('local', localIp, localPort);
  if (isOpenEnd(remoteIp, remotePort)) {
    throw new UsageError(
      `'${remoteIp} ${remotePort}' is not the address and port of one host; give those of the peer, or if they are not known, as behind a NAT: ${LEARNING_FORM}`,
    );
  }
  const remote = endpoint('remote', remoteIp, remotePort);
  named('<local-ip>', () => checkUnicast(local.address));
  named('<remote-ip>', () => {
    checkRemoteAddress(remote.address);
    checkEnds(local, remote);
  });
  return { ...TUNNEL_DEFAULTS, device, local, ...learning(local, remote, networks) };
}

/** The peer, and where a learned one may be. */
function learning(
  local: LocalEndpoint,
  remote: RemoteEndpoint,
  networks: string | undefined,
): Pick<ResolvedOptions, 'remote' | 'peers'> {
  const peers = networks === undefined ? null : named('--peers', () => parseList(networks));
  named('<remote-ip>', () => {
    checkLearned(
      remote,
      peers ?? undefined,
      'add the networks from which it may send: --peers 203.0.113.0/24',
    );
  });
  if (peers !== null) {
    const hint = 'give learn in place of the remote address and port, or omit --peers';
    named('--peers', () => checkPeers(local, remote, peers, hint));
  }
  return { remote, peers };
}

function parseList(networks: string): IpNetwork[] {
  return networks.split(',').map((network) => parsePeers(network.trim()));
}

function endpoint(side: 'local' | 'remote', ip: string, port: string): Endpoint {
  const address = named(`<${side}-ip>`, () => parseIpAddress(ip));
  return { address, port: named(`<${side}-port>`, () => parsePort(port)) };
}

/** Adds the name of the argument to an error. */
function named<T>(argument: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`${argument}: ${error.message}; ${error.hint}`);
  }
}

/** Works out from the form of the given arguments which ones are missing. */
function argumentsMissingFrom(operands: readonly string[]): UsageError {
  const unplaced = [...operands];
  const filled = PLACES.map(([name, fits]) => {
    const [next] = unplaced;
    if (next === undefined || !fits(next)) return name;
    unplaced.shift();
    return next;
  });
  // Arguments that fit none of the places are taken in their order.
  const shown = unplaced.length === 0 ? filled : PLACES.map(([name], index) => operands[index] ?? name);
  const missing = PLACES.map(([name]) => name).filter((name, index) => shown[index] === name);
  return missingArguments(missing, `ttun ${shown.join(' ')}`);
}

/** The arguments, each with a test whether a text could be its value. */
const PLACES: readonly (readonly [name: string, fits: (text: string) => boolean])[] = [
  ['<tun>', (text) => isIP(text) === 0],
  ['<local-ip>', isAddressLike],
  ['<local-port>', isPortLike],
  ['<remote-ip>', isAddressLike],
  ['<remote-port>', isPortLike],
];

const FORM = `ttun ${PLACES.map(([name]) => name).join(' ')}`;

const LEARNING_FORM = 'ttun --peers <networks> <tun> <local-ip> <local-port> learn';

export function isAddressLike(text: string): boolean {
  return isIP(text) !== 0 || /[.:]/.test(text);
}

function isPortLike(text: string): boolean {
  return /^\d+$/.test(text);
}

/** Refuses `10.0.1.1:9000`, the form used elsewhere, where two arguments are expected. */
function refuseJoinedEndpoint(operands: readonly string[]): void {
  for (const text of operands) {
    const parts = /^\[?(?<address>[^[\]]+)\]?:(?<port>\d+)$/.exec(text)?.groups;
    if (parts === undefined || isIPv6(text)) continue;
    const { address = '', port } = parts;
    if (isIP(address) === 0) continue;
    throw new UsageError(
      `'${text}' is an address and a port in one argument; separate them: ${address} ${port}`,
    );
  }
}
