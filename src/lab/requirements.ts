/** The lab's requirements on this machine. */
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import type { LabMode } from './lab.ts';
import { nameDirectory } from './namespaces.ts';
import { isOnPath } from './commands.ts';

/** The mode in which the lab can run here, or everything that is missing and how to install it. */
export type Ground = { mode: LabMode; missing: [] } | { mode: null; missing: string[] };

export async function findGround(): Promise<Ground> {
  if (process.platform !== 'linux') {
    return {
      mode: null,
      missing: ['the lab needs Linux, which has TUN devices and network namespaces'],
    };
  }
  const missing = [await missingNative(), missingIp(), missingNamespaces(), missingTun()].filter(
    (line) => line !== null,
  );
  const mode: LabMode = mayConfigureNetwork() ? 'root' : 'user-namespace';
  if (mode === 'user-namespace') missing.push(...missingForUserNamespace());
  return missing.length === 0 ? { mode, missing: [] } : { mode: null, missing };
}

async function missingNative(): Promise<string | null> {
  try {
    loadBinding();
    return null;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    return `${error.message}; ${error.hint}`;
  }
}

function missingIp(): string | null {
  if (!isOnPath('ip')) return '`ip` is not installed: apt-get install iproute2 (Fedora: dnf install iproute)';
  const { stdout } = spawnSync('ip', ['-V'], { encoding: 'utf8' });
  // BusyBox has its own `ip`.
  return stdout.includes('iproute2')
    ? null
    : 'this `ip` does not support network namespaces: install iproute2 (Alpine: apk add iproute2)';
}

function missingNamespaces(): string | null {
  return existsSync('/proc/self/ns/net') ? null : 'this kernel has no network namespaces (CONFIG_NET_NS)';
}

function missingTun(): string | null {
  try {
    closeSync(openSync('/dev/net/tun', 'r+'));
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return tunHints[code] ?? `/dev/net/tun cannot be opened: ${code}`;
  }
}

const tunHints: Record<string, string> = {
  ENOENT: 'no /dev/net/tun: as root, modprobe tun (a container needs --device /dev/net/tun)',
  EACCES: 'no access to /dev/net/tun: run the lab as root, or once as root: chmod 0666 /dev/net/tun',
  EPERM: 'no access to /dev/net/tun: a container needs --device /dev/net/tun',
  ENODEV: 'this kernel has no TUN driver (CONFIG_TUN): as root, modprobe tun',
  ENXIO: 'this kernel has no TUN driver (CONFIG_TUN): as root, modprobe tun',
};

/** Bits of the effective capability set (linux/capability.h). */
const CAP_NET_ADMIN = 1n << 12n;
const CAP_SYS_ADMIN = 1n << 21n;

/**
 * User ID 0 is not enough: in most containers root lacks the capabilities, and root of a user namespace (`unshare --map-root-user`)
 * has them all, but may not write to the directory in which `ip netns` keeps its names.
 */
function mayConfigureNetwork(): boolean {
  const [, hex = '0'] = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const needed = CAP_NET_ADMIN | CAP_SYS_ADMIN;
  return process.geteuid?.() === 0 && (BigInt(`0x${hex}`) & needed) === needed && isWritable(nameDirectory());
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function missingForUserNamespace(): string[] {
  const tools = ['unshare', 'mount'].filter((tool) => !isOnPath(tool));
  if (tools.length > 0)
    return tools.map(
      (tool) =>
        `\`${tool}\` is not installed, and a lab without root needs it: apt-get install util-linux mount`,
    );
  const probe = spawnSync('unshare', [...unshareOptions, process.execPath, '--version'], {
    encoding: 'utf8',
  });
  if (probe.status === 0) return [];
  return [
    `you may not create user namespaces (${probe.stderr.trim().split('\n').at(-1)}): run the lab as root, or ${howToAllowThem()}`,
  ];
}

export const unshareOptions: readonly string[] = ['--user', '--map-root-user', '--net', '--mount'];

/** The switches by which distributions forbid user namespaces: Debian's own, the kernel's, Ubuntu's. */
function howToAllowThem(): string {
  if (readSwitch('kernel/unprivileged_userns_clone') === '0')
    return 'as root: sysctl kernel.unprivileged_userns_clone=1';
  if (readSwitch('user/max_user_namespaces') === '0') return 'as root: sysctl user.max_user_namespaces=10000';
  if (readSwitch('kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return 'as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0';
  }
  return 'outside this container';
}

function readSwitch(name: string): string | null {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return null;
  }
}
