/** All about one device and its tunnel. */
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { SocketAddress } from 'node:net';
import type { BindingInterface, BindingRoute } from '../../binding.cjs';
import type { IpAddress } from '../address.ts';
import { TtunError } from '../errors.ts';
import { loadedBinding } from '../native.ts';
import { overlap, parseNetwork } from '../network.ts';
import type { LocalEndpoint, ResolvedOptions } from '../options.ts';
import { resolveName } from '../peer.ts';
import type { AnswerFacts, HostFacts, PeerFacts, Program, Subject, SubjectFacts, WayFacts } from './facts.ts';
import { tryBinding } from './gather-host.ts';

export async function gatherSubject(
  subject: Subject,
  { interfaces }: HostFacts,
  processes: readonly Process[],
): Promise<SubjectFacts> {
  const { device, options } = subject;
  const attached = processes
    .filter(({ devices }) => devices.includes(device))
    .map((process_) => toProgram(process_, device));
  return {
    subject,
    device: interfaces.find(({ name }) => name === device) ?? null,
    attached,
    way: options === null ? null : await gatherWay(options, interfaces, processes),
    answers: gatherAnswers(options),
  };
}

async function gatherWay(
  options: ResolvedOptions,
  interfaces: readonly BindingInterface[],
  processes: readonly Process[],
): Promise<WayFacts> {
  const { local, remote, device } = options;
  const peer = await findPeer(options);
  const address = 'problem' in peer ? null : peer;
  const family = local.address?.family ?? remote.address?.family ?? address?.family ?? 4;
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
        : gatherPeer(peer, options, { bindDevice, isHere: binding !== 'not-here' }, interfaces),
  };
}

interface Unresolved {
  readonly problem: string;
  readonly hint: string | null;
}

async function findPeer({ local, remote }: ResolvedOptions): Promise<IpAddress | Unresolved> {
  if (remote.name === undefined) return remote.address;
  try {
    const [address] = await resolveName({ name: remote.name, port: remote.port, local }, null);
    return address;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    return { problem: error.message, hint: error.hint ?? null };
  }
}

function gatherPeer(
  address: IpAddress,
  { device, local, fwmark }: ResolvedOptions,
  { bindDevice, isHere }: { readonly bindDevice: number | null; readonly isHere: boolean },
  interfaces: readonly BindingInterface[],
): PeerFacts {
  // The kernel refuses to look for the way of what comes from an address that it does not have.
  const source = isHere ? (local.address?.text ?? null) : null;
  const route = routeTo(address, { source, bindDevice, fwmark });
  return {
    address,
    route,
    plainRoute: routeTo(address),
    bypass: route?.device === device ? routeBeside(device, address, interfaces) : null,
  };
}

function gatherAnswers(options: ResolvedOptions | null): AnswerFacts[] {
  return (options?.allowedSources ?? [])
    .map((network) => ({ network, ...parseNetwork(network) }))
    .filter(({ prefixLength }) => prefixLength > 0)
    .map(({ network, address }) => ({ network, route: routeTo({ text: address, scopeId: null }) }));
}

// Which way packets would go.

/** A socket, as far as it decides the way of its datagrams. */
export interface SocketFacts {
  readonly source: string | null;
  /** Number of the interface to which it is bound. */
  readonly bindDevice: number | null;
  readonly fwmark: number | null;
}

export const PLAIN_SOCKET: SocketFacts = { source: null, bindDevice: null, fwmark: null };

/** `null` when there is no way. */
export function routeTo(
  { text, scopeId }: Pick<IpAddress, 'text' | 'scopeId'>,
  { source, bindDevice, fwmark }: SocketFacts = PLAIN_SOCKET,
): BindingRoute | null {
  const query = { remote: text, local: source, bindDevice: bindDevice ?? scopeId, fwmark };
  return loadedBinding().inspectRoute(query).route;
}

/** A way by another interface than `device`, best one to a neighbour, otherwise through a router. */
export function routeBeside(
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
  // Where the table has nothing, the kernel takes any address for a neighbour of the interface that was named.
  return routes.find((route) => route !== null && route.gateway !== null) ?? null;
}

// UDP sockets of this network namespace, from `/proc/net/udp` and `/proc/net/udp6` (proc(5)).

/** Numbers of the sockets that keep another from having this address and port. */
export function socketsAt(local: LocalEndpoint, family: 4 | 6): string[] {
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
  /** Of its inode. */
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

/** Words of four bytes, each as a number of this machine, which is little-endian. */
function toAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].toReversed());
  if (bytes.length === 4) return bytes.join('.');
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return groups.length === 8 ? new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address : '';
}

// Processes of this network namespace that have TUN devices or UDP sockets open, as far as this user may look.

export interface Process {
  readonly pid: number;
  readonly name: string;
  /** Names of TUN devices to which it is attached. */
  readonly devices: readonly string[];
  /** Numbers of its sockets. */
  readonly sockets: ReadonlySet<string>;
  /** Names of the devices that its tunnels have. */
  readonly tunnels: readonly string[];
}

export async function gatherProcesses(): Promise<Process[]> {
  const own = await link('/proc/self/ns/net');
  const pids = (await list('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => inspect(pid, own)));
  return found.filter((process_) => process_ !== null);
}

/** @param device the one that is to be the tunnel's */
export function toProgram({ pid, name, tunnels }: Process, device: string): Program {
  return { pid, name, isTunnel: tunnels.includes(threadName(device)) };
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
    // The node may lie elsewhere in the file system that the process sees.
    if (target.endsWith('/tun')) devices.push(...(await attachedTo(`${folder}/fdinfo/${descriptor}`)));
  }
  if (devices.length === 0 && sockets.size === 0) return null;
  const name = (await text(`${folder}/comm`)).trim();
  return { pid: Number(pid), name, devices, sockets, tunnels: await tunnelThreads(folder) };
}

/** `iff:	tun0` (`tun_chr_show_fdinfo` in drivers/net/tun.c). */
async function attachedTo(path: string): Promise<string[]> {
  const name = /^iff:\s*(?<name>\S+)$/m.exec(await text(path))?.groups?.['name'];
  return name === undefined || name === '(null)' ? [] : [name];
}

/** A tunnel has a thread that is called after its device. */
async function tunnelThreads(folder: string): Promise<string[]> {
  const threads = await list(`${folder}/task`);
  const names = await Promise.all(
    threads.map(async (thread) => (await text(`${folder}/task/${thread}/comm`)).trim()),
  );
  return names.filter((name) => name.startsWith(PREFIX));
}

const PREFIX = 'ttun-';
/** TASK_COMM_LEN less the final zero byte. */
const LONGEST_THREAD_NAME = 15;

function threadName(device: string): string {
  return `${PREFIX}${device}`.slice(0, LONGEST_THREAD_NAME);
}

// Processes end while they are looked at, and those of others are closed to us: that is no error.
const list = (path: string): Promise<string[]> => readdir(path).catch(() => []);
const link = (path: string): Promise<string> => readlink(path).catch(() => '');
const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
