/** Gathers the facts about this machine. */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { release, userInfo } from 'node:os';
import { promisify } from 'node:util';
import { formatIpAddress } from '../address.ts';
import type { LocalEndpoint } from '../address.ts';
import { TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import { settingOf, settingPath } from './facts.ts';
import type { HostFacts, Kernel, User, PathFacts } from './facts.ts';
import { parseRuleset } from './firewall.ts';
import type { Ruleset } from './firewall.ts';

export async function gatherHost(): Promise<HostFacts> {
  // First, since systems other than Linux have none of the rest.
  const native = await askNative();
  const user = gatherUser();
  return {
    user,
    ...gatherTunNode(),
    kernel: gatherKernel(),
    ...native,
    settings: gatherSettings(native.interfaces.map(({ name }) => name)),
    counters: gatherCounters(),
    firewall: user.mayConfigure ? await gatherFirewall() : null,
    hasOldFirewall: readText('/proc/net/ip_tables_names').includes('filter'),
  };
}

async function askNative(): Promise<Pick<HostFacts, 'native' | 'udp' | 'interfaces'>> {
  try {
    const binding = loadBinding();
    return { native: null, udp: binding.probeUdp(), interfaces: binding.inspectDevices() };
  } catch (error) {
    if (!(error instanceof TtunError) || error.code !== 'ERR_TTUN_NATIVE_MISSING') throw error;
    return { native: { message: error.message, hint: error.hint ?? null }, udp: null, interfaces: [] };
  }
}

function gatherKernel(): Kernel {
  return parseRelease(release());
}

/** `6.18.44-custom`, `7.0-rc1` */
export function parseRelease(text: string): Kernel {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return { release: text, version: [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0)] };
}

function gatherUser(): User {
  const uid = process.geteuid?.() ?? -1;
  const gid = process.getegid?.() ?? -1;
  return {
    uid,
    name: nameOfUser() ?? String(uid),
    gids: [...new Set([gid, ...(process.getgroups?.() ?? [])])],
    mayConfigure: hasCapability(CAP_NET_ADMIN),
  };
}

/** include/uapi/linux/capability.h */
const CAP_NET_ADMIN = 12n;

function hasCapability(capability: bigint): boolean {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*(?<bits>[\da-f]+)$/m.exec(status)?.groups?.['bits'] ?? '0';
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

function nameOfUser(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/** Opens `/dev/net/tun` and closes it again. */
function gatherTunNode(): Pick<HostFacts, 'tunNode' | 'tunDriver'> {
  return { tunNode: open(), tunDriver: /^\s*\d+ tun$/m.test(readText('/proc/misc')) };
}

function open(): HostFacts['tunNode'] {
  try {
    closeSync(openSync('/dev/net/tun', constants.O_RDWR));
    return 'usable';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // EPERM: the device cgroup of a container.
    return code === 'EACCES' || code === 'EPERM' ? 'forbidden' : 'missing';
  }
}

/** Empty where there is no such file, or this user may not read it. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const NAMES = [
  'net.core.rmem_max',
  'net.core.wmem_max',
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_udp_timeout',
  'net.netfilter.nf_conntrack_udp_timeout_stream',
] as const;

/**
 * Kernel settings, from `/proc/sys`.
 *
 * @param devices names of the interfaces whose own settings are read too
 */
function gatherSettings(devices: readonly string[]): Map<string, number> {
  const names = [...NAMES, ...['all', ...devices].map((device) => settingOf(device, 'rp_filter'))];
  const settings = new Map<string, number>();
  for (const name of names) {
    const value = read(name);
    if (value !== null) settings.set(name, value);
  }
  return settings;
}

/** `null` where this kernel has no such setting, or this user may not read it. */
function read(name: string): number | null {
  try {
    const value = Number(readFileSync(settingPath(name), 'utf8').trim());
    return Number.isInteger(value) ? value : null;
  } catch {
    return null;
  }
}

/** Those of IPv4 are two lines for each protocol, names and values; those of IPv6 one line each (proc(5)). */
function gatherCounters(): Map<string, number> {
  const counters = new Map<string, number>();
  const lines = readText('/proc/net/snmp').split('\n');
  for (const [index, line] of lines.entries()) {
    const [protocol = '', ...names] = line.split(' ');
    const [again, ...values] = lines[index + 1]?.split(' ') ?? [];
    if (again !== protocol) continue;
    for (const [place, name] of names.entries())
      counters.set(protocol.replace(':', name), Number(values[place]));
  }
  for (const [, name = '', value] of readText('/proc/net/snmp6').matchAll(/^(\w+)\s+(\d+)$/gm)) {
    counters.set(name, Number(value));
  }
  return counters;
}

/** The rules of nftables, from nft(8); `null` if nft is not installed, or fails. */
async function gatherFirewall(): Promise<Ruleset | null> {
  // Not found through the PATH, to which npm may have added packages of the same name.
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

/** Node takes zones by name only. */
function interfaceName(zone: string | null): string | null {
  if (zone === null || !/^\d+$/.test(zone)) return zone;
  const devices = loadBinding().inspectDevices();
  return devices.find(({ index }) => index === Number(zone))?.name ?? zone;
}

/** Binds a socket to the local address for an instant: the kernel knows best what prevents it. */
export async function tryBinding(
  { address, port }: LocalEndpoint,
  family: 4 | 6,
): Promise<PathFacts['binding']> {
  const socket = createSocket(family === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true });
  try {
    const any = family === 4 ? '0.0.0.0' : '::';
    const own = address === null ? any : formatIpAddress({ ...address, zone: interfaceName(address.zone) });
    const listening = once(socket, 'listening');
    socket.bind({ address: own, port, exclusive: true });
    await listening;
    return 'possible';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') return 'taken';
    if (code === 'EACCES') return 'forbidden';
    return 'not-here';
  } finally {
    socket.close();
  }
}
