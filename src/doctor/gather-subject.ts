/** Gathers the facts about one device and its tunnel. */
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIP, SocketAddress } from 'node:net';
import type { BindingArrival, BindingInterface, BindingRoute } from '../../binding.cjs';
import { ipBytes } from '../address.ts';
import type { Endpoint, IpAddress, LocalEndpoint } from '../address.ts';
import { TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import { formatNetwork, overlap, parseNetwork } from '../network.ts';
import type { ResolvedOptions } from '../schema.ts';
import { resolveName } from '../peer.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type {
  Arrival,
  ReturnRoute,
  HostFacts,
  PeerFacts,
  ProbeFacts,
  Program,
  Subject,
  SubjectFacts,
  PathFacts,
} from './facts.ts';
import { tryBinding } from './gather-host.ts';
import { measure, reportAgain } from './gather-measurement.ts';
import type { Measuring } from './gather-measurement.ts';
import { endsOf, isUnanswered, localEndOf } from './peer-checks.ts';

/** What the examination of several subjects shares. */
export interface Surroundings {
  readonly processes: readonly Process[];
  /** All known tunnels. */
  readonly tunnels: () => Promise<readonly Subject[]>;
  /** Datagrams that arrive at this host while it listens; `null` if this user may not listen. */
  readonly listen: (family: 4 | 6) => Promise<readonly BindingArrival[] | null>;
  /** Whether to measure the path. */
  readonly measuring: Measuring | null;
}

export async function gatherSubject(
  chosen: Subject,
  { interfaces }: HostFacts,
  { processes, tunnels, listen, measuring }: Surroundings,
): Promise<SubjectFacts> {
  // First, as the kernel may learn the MTU of the path from it, and the tunnel that its peer answers.
  const measured = measuring === null ? null : await measure(chosen, measuring);
  const subject = measured === null ? chosen : { ...chosen, running: await reportAgain(chosen) };
  const { device, options, running } = subject;
  const attached = processes
    .filter(({ devices }) => devices.includes(device))
    .map((process_) => toProgram(process_, device));
  const found = interfaces.find(({ name }) => name === device) ?? null;
  const isRouted = (options?.interface?.routes.length ?? 0) > 0;
  return {
    subject,
    device: found,
    networks: found !== null && isRouted ? loadBinding().inspectNetworks(found.index) : [],
    attached,
    path: options === null ? null : await gatherPath(options, running, interfaces, processes, tunnels),
    returnRoutes: gatherReturnRoutes(options),
    probe: gatherProbe(subject),
    measured,
    arrivals: await gatherArrivals(subject, listen),
  };
}

/** Listens only if there is something to find out. */
async function gatherArrivals(
  { running }: Subject,
  listen: Surroundings['listen'],
): Promise<Arrival[] | null> {
  const here = running !== null && isUnanswered(running) ? localEndOf(running) : null;
  if (here === null) return null;
  const { family } = here.address;
  const arrivals = await listen(family);
  const ports = new Set(
    readSockets(family === 4 ? '/proc/net/udp' : '/proc/net/udp6').map(({ port }) => port),
  );
  return arrivals?.map((arrival) => ({ ...arrival, isTaken: ports.has(arrival.localPort) })) ?? null;
}

/** Listens once for each family, whatever the number of subjects: each time needs a thread and a socket. */
export function listener(): Surroundings['listen'] {
  const heard = new Map<4 | 6, Promise<readonly BindingArrival[] | null>>();
  return (family) => {
    const known = heard.get(family) ?? loadBinding().listenForArrivals(family === 6, LISTEN_MS);
    heard.set(family, known);
    return known;
  };
}

/** Long enough for a peer that sends a packet each second. */
const LISTEN_MS = 1500;

async function gatherPath(
  options: ResolvedOptions,
  running: TunnelReport | null,
  interfaces: readonly BindingInterface[],
  processes: readonly Process[],
  tunnels: () => Promise<readonly Subject[]>,
): Promise<PathFacts> {
  const { local, remote, device } = options;
  const learned = running === null ? null : (endsOf(running)?.peer ?? null);
  const peer = await findPeer(options, learned);
  const address = 'problem' in peer ? null : peer;
  const ofPeer = remote.address?.family ?? options.peers?.[0]?.family ?? address?.family;
  const family = local.address?.family ?? ofPeer ?? 4;
  const binding = await tryBinding(local, family);
  const sockets = binding === 'taken' ? socketsAt(local, family) : [];
  const holders = processes.filter((process_) => sockets.some((socket) => process_.sockets.has(socket)));
  const bindDevice = interfaces.find(({ name }) => name === options.bindDevice)?.index ?? null;
  return {
    binding,
    portHolders: holders.map((process_) => toProgram(process_, device)),
    bindDeviceExists: options.bindDevice === null || bindDevice !== null,
    peer:
      'problem' in peer
        ? { address: null, ...peer }
        : await gatherPeer(
            peer,
            options,
            { bindDevice, isHere: binding !== 'not-here' },
            interfaces,
            tunnels,
          ),
    peerPort: remote.port ?? learned?.port ?? null,
  };
}

interface Unresolved {
  readonly problem: string | null;
  readonly hint: string | null;
}

/** @param learned the present peer of a tunnel that learns it */
async function findPeer(
  { local, remote }: ResolvedOptions,
  learned: Endpoint | null,
): Promise<IpAddress | Unresolved> {
  if (remote.name === undefined) return remote.address ?? learned?.address ?? { problem: null, hint: null };
  try {
    const [address] = await resolveName({ name: remote.name, port: remote.port, local }, null);
    return address;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    return { problem: error.message, hint: error.hint ?? null };
  }
}

async function gatherPeer(
  address: IpAddress,
  { device, local, fwmark }: ResolvedOptions,
  { bindDevice, isHere }: { readonly bindDevice: number | null; readonly isHere: boolean },
  interfaces: readonly BindingInterface[],
  tunnels: () => Promise<readonly Subject[]>,
): Promise<PeerFacts> {
  // The kernel refuses a route lookup from an address that it does not have.
  const source = isHere ? (local.address?.text ?? null) : null;
  const route = routeTo(address, { source, bindDevice, fwmark });
  const detour = await followTunnels(route, device, interfaces, tunnels);
  return {
    address,
    route,
    plainRoute: routeTo(address),
    detour,
    bypass: detour.at(-1) === device ? routeBeside(device, address, interfaces) : null,
  };
}

/** The tunnels that datagrams on `route` pass through, until they leave for the network or come back to `home`. */
async function followTunnels(
  route: BindingRoute | null,
  home: string,
  interfaces: readonly BindingInterface[],
  tunnels: () => Promise<readonly Subject[]>,
): Promise<string[]> {
  const passed: string[] = [];
  let next = route;
  while (next !== null && !passed.includes(next.device) && isTun(next.device, interfaces)) {
    const { device } = next;
    passed.push(device);
    if (device === home) break;
    const options = (await tunnels()).find((tunnel) => tunnel.device === device)?.options ?? null;
    next = options === null ? null : await routeOfTunnel(options, interfaces);
  }
  return passed;
}

function isTun(device: string, interfaces: readonly BindingInterface[]): boolean {
  return interfaces.some(({ name, kind }) => name === device && kind === 'tun');
}

async function routeOfTunnel(
  options: ResolvedOptions,
  interfaces: readonly BindingInterface[],
): Promise<BindingRoute | null> {
  const peer = await findPeer(options, null);
  if ('problem' in peer) return null;
  const bindDevice = interfaces.find(({ name }) => name === options.bindDevice)?.index ?? null;
  return routeTo(peer, { ...PLAIN_SOCKET, bindDevice, fwmark: options.fwmark });
}

/** Of the running tunnel, which may have been started without a file; otherwise as configured. */
function gatherProbe({ running, options }: Subject): ProbeFacts | null {
  const { address = null, intervalMs = null } = running?.stats?.probe ?? {
    address: options?.probe?.address.text,
    intervalMs: options?.probe?.intervalMs,
  };
  if (address === null || intervalMs === null || isIP(address) === 0) return null;
  return { address, intervalMs, route: routeTo({ text: address, zone: null }) };
}

function gatherReturnRoutes(options: ResolvedOptions | null): ReturnRoute[] {
  return (options?.allowedSources ?? [])
    .filter(({ prefixLength }) => prefixLength > 0)
    .map((network) => ({
      network: formatNetwork(network),
      route: routeTo({ text: network.address, zone: null }),
    }));
}

/** The properties of a socket that determine the route of its datagrams. */
interface RoutedSocket {
  readonly source: string | null;
  /** Index of the interface that it is bound to. */
  readonly bindDevice: number | null;
  readonly fwmark: number | null;
}

const PLAIN_SOCKET: RoutedSocket = { source: null, bindDevice: null, fwmark: null };

/** The route of its datagrams; `null` when there is none. */
function routeTo(
  { text, zone }: Pick<IpAddress, 'text' | 'zone'>,
  { source, bindDevice, fwmark }: RoutedSocket = PLAIN_SOCKET,
): BindingRoute | null {
  const query = {
    remote: ipBytes(text),
    local: source === null ? null : ipBytes(source),
    bindDevice: bindDevice ?? indexOf(zone),
    fwmark,
  };
  return loadBinding().inspectRoute(query);
}

/** Of an interface; `null` if there is none. */
function indexOf(zone: string | null): number | null {
  if (zone === null) return null;
  return /^\d+$/.test(zone) ? Number(zone) : (loadBinding().inspectDevice(zone)?.index ?? null);
}

/** A route through an interface other than `device`: to a neighbour if possible, otherwise through a router. */
function routeBeside(
  device: string,
  address: IpAddress,
  interfaces: readonly BindingInterface[],
): BindingRoute | null {
  const others = interfaces.filter(({ name, kind, up }) => up && kind === 'other' && name !== device);
  const host = parseNetwork(address.text);
  const neighbour = others.find(({ addresses }) => addresses.some((own) => overlap(parseNetwork(own), host)));
  if (neighbour !== undefined) {
    return routeTo(address, { ...PLAIN_SOCKET, bindDevice: neighbour.index });
  }
  const routes = others.map(({ index }) => routeTo(address, { ...PLAIN_SOCKET, bindDevice: index }));
  // Without a matching route, the kernel treats every address as a neighbour on the given interface.
  return routes.find((route) => route !== null && route.gateway !== null) ?? null;
}

/** Inode numbers of the UDP sockets in this network namespace that occupy this address and port (`/proc/net/udp`, proc(5)). */
function socketsAt(local: LocalEndpoint, family: 4 | 6): string[] {
  return readSockets(family === 4 ? '/proc/net/udp' : '/proc/net/udp6')
    .filter(({ address, port }) => {
      const isSame = local.address === null || address === local.address.text;
      return port === local.port && (isSame || address === '0.0.0.0' || address === '::');
    })
    .map(({ number }) => number);
}

interface UdpSocket {
  readonly address: string;
  readonly port: number;
  /** Its inode number. */
  readonly number: string;
}

function readSockets(path: string): UdpSocket[] {
  return read(path).flatMap((line) => {
    const [, local = '', , , , , , , , number] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    if (number === undefined) return [];
    return [{ address: toAddress(address), port: Number.parseInt(port, 16), number }];
  });
}

function read(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').slice(1);
  } catch {
    return [];
  }
}

/** Words of four bytes, each a number in host byte order, which is little-endian. */
function toAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].toReversed());
  if (bytes.length === 4) return bytes.join('.');
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return groups.length === 8 ? new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address : '';
}

/** A process of this network namespace that has TUN devices or sockets open, as far as this user can see. */
export interface Process {
  readonly pid: number;
  readonly name: string;
  /** Names of the TUN devices that it is attached to. */
  readonly devices: readonly string[];
  /** Inode numbers of its sockets. */
  readonly sockets: ReadonlySet<string>;
  /** Names of its tunnel threads. */
  readonly tunnels: readonly string[];
}

export async function gatherProcesses(): Promise<Process[]> {
  const own = await link('/proc/self/ns/net');
  const pids = (await list('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => inspect(pid, own)));
  return found.filter((process_) => process_ !== null);
}

/**
 * A tunnel has a thread that is named after its device. After a rename the thread keeps the old name, but the process is still
 * attached.
 *
 * @param device the tunnel's device
 */
function toProgram({ pid, name, devices, tunnels }: Process, device: string): Program {
  const isAttachedTunnel = tunnels.length > 0 && devices.includes(device);
  return { pid, name, isTunnel: isAttachedTunnel || tunnels.includes(threadName(device)) };
}

async function inspect(pid: string, namespace: string): Promise<Process | null> {
  const folder = `/proc/${pid}`;
  if ((await link(`${folder}/ns/net`)) !== namespace) return null;
  const devices: string[] = [];
  const sockets = new Set<string>();
  for (const descriptor of await list(`${folder}/fd`)) {
    const target = await link(`${folder}/fd/${descriptor}`);
    const socket = /^socket:\[(?<number>\d+)\]$/.exec(target)?.groups?.['number'];
    if (socket !== undefined) sockets.add(socket);
    // The process may see the node under another path.
    if (target.endsWith('/tun')) devices.push(...(await attachedTo(`${folder}/fdinfo/${descriptor}`)));
  }
  if (devices.length === 0 && sockets.size === 0) return null;
  const name = (await text(`${folder}/comm`)).trim();
  return { pid: Number(pid), name, devices, sockets, tunnels: await tunnelThreads(pid) };
}

/** `iff:	tun0` (`tun_chr_show_fdinfo` in drivers/net/tun.c). */
async function attachedTo(path: string): Promise<string[]> {
  const name = /^iff:\s*(?<name>\S+)$/m.exec(await text(path))?.groups?.['name'];
  return name === undefined || name === '(null)' ? [] : [name];
}

/** Names of its threads that carry tunnels. */
async function tunnelThreads(pid: string): Promise<string[]> {
  const folder = `/proc/${pid}`;
  // The main thread has the name of the program, which is never a tunnel's thread.
  const threads = (await list(`${folder}/task`)).filter((thread) => thread !== pid);
  const names = await Promise.all(
    threads.map(async (thread) => (await text(`${folder}/task/${thread}/comm`)).trim()),
  );
  return names.filter((name) => name.startsWith(PREFIX));
}

const PREFIX = 'ttun-';
/** TASK_COMM_LEN minus the final zero byte. */
const LONGEST_THREAD_NAME = 15;

function threadName(device: string): string {
  return `${PREFIX}${device}`.slice(0, LONGEST_THREAD_NAME);
}

// Processes may end meanwhile, and those of other users cannot be read: neither is an error.
const list = (path: string): Promise<string[]> => readdir(path).catch(() => []);
const link = (path: string): Promise<string> => readlink(path).catch(() => '');
const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
