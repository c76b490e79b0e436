/** Measures the path of a tunnel: chooses the address to ask and the lengths to try. */
import { InvalidValue, ipBytes, isLinkLocal, parseEndpoint } from './address.ts';
import type { IpAddress } from './address.ts';
import { SMALL } from './echo.ts';
import type { EchoRequest, EchoResults, EchoTimes } from './echo.ts';
import { TtunError } from './errors.ts';
import { loadBinding } from './native.ts';
import { addressOf, OUTER_OVERHEAD, parseNetwork, rangeOf } from './network.ts';
import type { IpNetwork } from './network.ts';
import { measurePath } from './path.ts';
import { parseProbeAddress } from './probe-options.ts';
import type { PathMeasurement } from './path.ts';
import type { TunnelStats } from './stats.ts';

/** A tunnel that sends echo requests. */
export interface EchoingTunnel {
  stats(): TunnelStats;
  /** Sends echo requests to an address inside the tunnel. */
  sendEchoes(address: string, requests: readonly EchoRequest[], times: EchoTimes): Promise<EchoResults>;
}

/**
 * @param given an address of the peer inside the tunnel
 * @throws TtunError if no such address is given or known, or the tunnel ends meanwhile
 */
export async function measureTunnel(
  tunnel: EchoingTunnel,
  given: string | undefined,
): Promise<PathMeasurement> {
  const { remote } = tunnel.stats().socket;
  if (remote === null) {
    throw new TtunError(
      'ERR_TTUN_NO_ROUTE',
      'the peer is not known yet, so the path to it cannot be measured',
      {
        hint: 'it becomes known when it sends the first packet',
      },
    );
  }
  const address = given === undefined ? await findPeer(tunnel) : checked(given);
  const path = { address, ...pathTo(parseEndpoint(remote).address, tunnel) };
  return measurePath(path, (requests, times) => tunnel.sendEchoes(address, requests, times));
}

function checked(given: string): string {
  try {
    const address = parseProbeAddress(given).text;
    const isOwn = loadBinding().inspectRoute({ ...PLAIN, remote: ipBytes(address) })?.local === true;
    if (!isOwn) return address;
    throw new InvalidValue(`${address} is an address of this host`, 'give one of the other host');
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new TtunError('ERR_TTUN_INVALID_OPTIONS', `address: ${error.message}`, { hint: error.hint });
  }
}

const PLAIN = { local: null, bindDevice: null, fwmark: null };

/** The address of the probe; otherwise the first likely one that answers, or the likeliest one. */
async function findPeer(tunnel: EchoingTunnel): Promise<string> {
  const { device, probe } = tunnel.stats();
  if (probe.address !== null) return probe.address;
  const binding = loadBinding();
  const { addresses = [] } = binding.inspectDevice(device.name) ?? {};
  const guesses = guessPeers(addresses, binding.inspectNetworks(device.index));
  const [likeliest] = guesses;
  if (likeliest === undefined) {
    throw new TtunError(
      'ERR_TTUN_INVALID_OPTIONS',
      'address: no address of the peer inside the tunnel is known',
      {
        hint: `give one that answers pings: ttun doctor --path ${device.name} 10.0.2.2, or measurePath({ address: '10.0.2.2' })`,
      },
    );
  }
  if (guesses.length === 1) return likeliest;
  const isAnswering = guesses.map(async (address) => {
    const results = await tunnel.sendEchoes(address, KNOCKS, KNOCK_TIMES);
    return results.some((answer) => answer !== null);
  });
  const answering = await Promise.all(isAnswering);
  return guesses.find((_, index) => answering[index] === true) ?? likeliest;
}

const KNOCKS = [SMALL, SMALL];
const KNOCK_TIMES: EchoTimes = { distanceMs: 100, timeoutMs: 1000 };

/** The outer headers, and the largest packet of interest: of the device, or one that the interface to the peer could carry. */
function pathTo({ text, family }: IpAddress, tunnel: EchoingTunnel): { overhead: number; most: number } {
  const overhead = OUTER_OVERHEAD[family];
  const binding = loadBinding();
  const route = binding.inspectRoute({ ...PLAIN, remote: ipBytes(text) });
  const link = binding.inspectDevices().find(({ index }) => index === route?.index);
  const fits = (link?.mtu ?? 0) - overhead;
  return { overhead, most: Math.min(Math.max(tunnel.stats().device.mtu, fits), LARGEST_MTU) };
}

/** Of Ethernet switches; the MTU of the loopback interface is beyond any path. */
const LARGEST_MTU = 9216;

/**
 * Addresses that the peer may have inside the tunnel, guessed from those of this end and its routes. The likely ones first, of both families: single addresses that are routed into the tunnel, the other end of a link for two, and the
 * first or second address of a larger network.
 *
 * @param addresses of the device, `10.0.2.1/24`
 * @param routes networks that are routed into the device
 */
export function guessPeers(addresses: readonly string[], routes: readonly string[]): string[] {
  const own = addresses.map(parseNetwork).filter(({ address }) => !isLinkLocal(address));
  const isOwn = (candidate: string): boolean => own.some(({ address }) => address === candidate);
  const hosts = routes
    .map(parseNetwork)
    .filter((network) => rangeOf(network).first === rangeOf(network).last);
  const guesses = [...hosts.map(({ address }) => address), ...own.flatMap(otherEnd)];
  return [...new Set(guesses)].filter((candidate) => !isOwn(candidate)).slice(0, MOST_GUESSES);
}

const MOST_GUESSES = 8;

function otherEnd(network: IpNetwork): string[] {
  const { family, address } = network;
  const { first, last } = rangeOf(network);
  // A link for two has no address of the network itself (RFC 3021, RFC 6164).
  const usable = last - first === 1n ? [first, last] : [first + 1n, first + 2n];
  const candidates = usable.filter((number) => number <= last).map((number) => addressOf(family, number));
  const likely = candidates.find((candidate) => candidate !== address);
  return likely === undefined ? [] : [likely];
}
