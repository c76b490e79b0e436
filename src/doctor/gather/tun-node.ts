/** `/dev/net/tun`, opened and closed again. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { HostFacts } from '../facts.ts';

export function gatherTunNode(): Pick<HostFacts, 'tunNode' | 'tunDriver'> {
  return { tunNode: open(), tunDriver: /^\s*\d+ tun$/m.test(readMiscDevices()) };
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

function readMiscDevices(): string {
  try {
    return readFileSync('/proc/misc', 'utf8');
  } catch {
    return '';
  }
}
