/** Checks of this machine: the driver, the kernel, its limits, and this user's rights. */
import type { HostFacts, Kernel, SubjectFacts, Version } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding, FindingCode } from './finding.ts';

export function checkNative({ native }: HostFacts): Finding[] {
  return native === null ? [] : [finding('native-missing', native.message, { advice: native.hint })];
}

const ALLOW_ALL_USERS = 'chmod 0666 /dev/net/tun';

export function checkTunNode({ tunNode, tunDriver }: HostFacts): Finding[] {
  if (tunNode === 'usable') return [ok('/dev/net/tun can be opened')];
  if (tunNode === 'missing') return [tunDriver ? missingNode() : missingDriver()];
  return [finding('tun-forbidden', 'this user may not open /dev/net/tun', { commands: [ALLOW_ALL_USERS] })];
}

/** Containers have only the device nodes that they were started with. */
function missingNode(): Finding {
  return finding('tun-missing', '/dev/net/tun does not exist, although the kernel has the driver', {
    // Character device 10:200 (Documentation/admin-guide/devices.txt).
    commands: ['mkdir -p /dev/net', 'mknod /dev/net/tun c 10 200', ALLOW_ALL_USERS],
    advice: 'start a container with --device /dev/net/tun',
  });
}

function missingDriver(): Finding {
  return finding('tun-missing', '/dev/net/tun does not exist, and the driver is not loaded', {
    commands: ['modprobe tun'],
    advice: 'in a container, load the driver on its host',
  });
}

/** Kernels whose UDP segmentation corrupts headers with some drivers: introduced in 7.0, fixed in 7.1.5. */
const SEGMENT_BUG: { readonly first: Version; readonly fixed: Version } = {
  first: [7, 0, 0],
  fixed: [7, 1, 5],
};
/** TUN_F_USO4 and TUN_F_USO6 (drivers/net/tun.c). */
const USO_SINCE: Version = [6, 2, 0];

export function checkKernel({ kernel, udp }: HostFacts): Finding[] {
  const { release, version } = kernel;
  const found: Finding[] = [];
  if (udp?.segment === false) found.push(missing('segment-missing', 'UDP_SEGMENT', kernel));
  if (udp?.receive === false) found.push(missing('gro-missing', 'UDP_GRO', kernel));
  if (isBefore(version, USO_SINCE)) found.push(missing('uso-missing', 'USO', kernel));
  if (!isBefore(version, SEGMENT_BUG.first) && isBefore(version, SEGMENT_BUG.fixed)) {
    found.push(
      finding('segment-bug', `Linux ${release} may corrupt datagrams sent with UDP_SEGMENT`, {
        advice:
          'if the peer receives fewer packets than this host sends, set offload = { segment = false } or use Linux 7.1.5',
      }),
    );
  }
  return found.length > 0 ? found : [ok(`Linux ${release} has UDP_SEGMENT, UDP_GRO and USO`)];
}

function missing(
  code: 'segment-missing' | 'gro-missing' | 'uso-missing',
  feature: string,
  { release }: Kernel,
): Finding {
  return finding(code, `Linux ${release} has no ${feature}`, { advice: 'use a newer kernel' });
}

function isBefore(version: Version, other: Version): boolean {
  const at = version.findIndex((part, index) => part !== other[index]);
  return at !== -1 && (version[at] ?? 0) < (other[at] ?? 0);
}

/** The socket buffer size that the core requests in each direction (`BUFFER_LEN`), bytes. */
const WANTED = 4 * 1024 * 1024;

const LIMITS: readonly (readonly [setting: string, code: FindingCode, buffer: string])[] = [
  ['net.core.rmem_max', 'receive-buffer-small', 'receive'],
  ['net.core.wmem_max', 'send-buffer-small', 'send'],
];

/** CAP_NET_ADMIN overrides the limits (SO_RCVBUFFORCE in socket(7)). */
export function checkSocketBuffers({ settings, user }: HostFacts): Finding[] {
  const found = LIMITS.flatMap(([setting, code, buffer]) => {
    const limit = settings.get(setting);
    if (user.mayConfigure || limit === undefined || limit >= WANTED) return [];
    const what = `the ${buffer} buffer of a socket is limited to ${Math.floor(limit / 1024)} KiB`;
    return [finding(code, what, { commands: [`sysctl -w ${setting}=${WANTED}`] })];
  });
  return found.length > 0 ? found : [ok('socket buffers may be as large as ttun requests')];
}

/** The fraction at which the table counts as full. */
const FULL = 0.9;

export function checkConntrack({ settings }: HostFacts): Finding[] {
  const count = settings.get('net.netfilter.nf_conntrack_count');
  const max = settings.get('net.netfilter.nf_conntrack_max');
  // 0: unlimited.
  if (count === undefined || max === undefined || max === 0 || count < max * FULL) return [];
  const what = `the connection tracking table holds ${count} of at most ${max} connections`;
  return [
    finding('conntrack-full', what, { commands: [`sysctl -w net.netfilter.nf_conntrack_max=${max * 2}`] }),
  ];
}

/** Options that require CAP_NET_ADMIN. */
export function checkPrivileges({ subject: { options } }: SubjectFacts, { user }: HostFacts): Finding[] {
  if (options === null || user.mayConfigure) return [];
  const privileged = [
    ...(options.interface === null ? [] : ['interface']),
    ...(options.fwmark === null ? [] : ['fwmark']),
  ];
  if (privileged.length === 0) return [];
  const what = `the options ${privileged.join(' and ')} require root, but this is user ${user.uid} (${user.name})`;
  return [
    finding('interface-forbidden', what, { advice: 'run ttun as root, or as the service ttun@.service' }),
  ];
}
