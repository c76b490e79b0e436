import type { HostFacts, Kernel, SubjectFacts, Version } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding, FindingCode } from './finding.ts';

export function checkNative({ native }: HostFacts): Finding[] {
  return native === null ? [] : [finding('native-missing', native.message, { advice: native.hint })];
}

const LET_ALL_OPEN = 'chmod 0666 /dev/net/tun';

export function checkTunNode({ tunNode, tunDriver }: HostFacts): Finding[] {
  if (tunNode === 'usable') return [ok('/dev/net/tun can be opened')];
  if (tunNode === 'missing') return [tunDriver ? missingNode() : missingDriver()];
  return [finding('tun-forbidden', 'this user may not open /dev/net/tun', { commands: [LET_ALL_OPEN] })];
}

/** As in containers, which get only the device nodes that they were started with. */
function missingNode(): Finding {
  return finding('tun-missing', 'there is no /dev/net/tun, though the kernel has the driver', {
    // Character device 10:200 (Documentation/admin-guide/devices.txt).
    commands: ['mkdir -p /dev/net', 'mknod /dev/net/tun c 10 200', LET_ALL_OPEN],
    advice: 'a container is given it by --device /dev/net/tun when it is started',
  });
}

function missingDriver(): Finding {
  return finding('tun-missing', 'there is no /dev/net/tun, and the driver is not loaded', {
    commands: ['modprobe tun'],
    advice: 'a container uses the driver of its host: load it there',
  });
}

// What the kernel has for speed. There is nothing to type but for another kernel.

/** Kernels whose UDP segmentation garbles headers with some drivers: introduced in 7.0, mended in 7.1.5. */
const SEGMENT_BUG: { readonly first: Version; readonly mended: Version } = {
  first: [7, 0, 0],
  mended: [7, 1, 5],
};
/** TUN_F_USO4 and TUN_F_USO6 (drivers/net/tun.c). */
const USO_SINCE: Version = [6, 2, 0];

export function checkKernel({ kernel, udp }: HostFacts): Finding[] {
  const { release, version } = kernel;
  const found: Finding[] = [];
  if (udp?.segment === false) found.push(missing('segment-missing', 'UDP_SEGMENT', kernel));
  if (udp?.receive === false) found.push(missing('gro-missing', 'UDP_GRO', kernel));
  if (isBefore(version, USO_SINCE)) found.push(missing('uso-missing', 'USO', kernel));
  if (!isBefore(version, SEGMENT_BUG.first) && isBefore(version, SEGMENT_BUG.mended)) {
    found.push(
      finding('segment-bug', `Linux ${release} may garble what is sent by UDP_SEGMENT`, {
        advice:
          'if the peer receives fewer packets than are sent: offload = { segment = false } in the tunnel, or Linux 7.1.5',
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

/** What the socket asks for each way, bytes (`BUFFER_LEN` of the core). */
const WANTED = 4 * 1024 * 1024;

const LIMITS: readonly (readonly [setting: string, code: FindingCode, buffer: string])[] = [
  ['net.core.rmem_max', 'receive-buffer-small', 'receive'],
  ['net.core.wmem_max', 'send-buffer-small', 'send'],
];

/** With CAP_NET_ADMIN the limits do not count (SO_RCVBUFFORCE in socket(7)). */
export function checkSocketBuffers({ settings, user }: HostFacts): Finding[] {
  const found = LIMITS.flatMap(([setting, code, buffer]) => {
    const limit = settings.get(setting);
    if (user.mayConfigure || limit === undefined || limit >= WANTED) return [];
    const what = `the ${buffer} buffer of a socket is limited to ${Math.floor(limit / 1024)} KiB`;
    return [finding(code, what, { commands: [`sysctl -w ${setting}=${WANTED}`] })];
  });
  return found.length > 0 ? found : [ok('socket buffers may be as large as ttun asks for')];
}

/** From this share on it is called full. */
const FULL = 0.9;

export function checkConntrack({ settings }: HostFacts): Finding[] {
  const count = settings.get('net.netfilter.nf_conntrack_count');
  const max = settings.get('net.netfilter.nf_conntrack_max');
  // A limit of 0 is none.
  if (count === undefined || max === undefined || max === 0 || count < max * FULL) return [];
  const what = `the table of connections holds ${count} of at most ${max}`;
  return [
    finding('conntrack-full', what, { commands: [`sysctl -w net.netfilter.nf_conntrack_max=${max * 2}`] }),
  ];
}

/** What the options ask for that takes CAP_NET_ADMIN. */
export function checkPrivileges({ subject: { options } }: SubjectFacts, { user }: HostFacts): Finding[] {
  if (options === null || user.mayConfigure) return [];
  const asked = [
    ...(options.interface === null ? [] : ['interface']),
    ...(options.fwmark === null ? [] : ['fwmark']),
  ];
  if (asked.length === 0) return [];
  const what = `the options ${asked.join(' and ')} need root, and this is user ${user.uid} (${user.name})`;
  return [finding('interface-forbidden', what, { advice: 'run ttun as root, or by the unit ttun@.service' })];
}
