import { statSync } from 'node:fs';
import { handOver } from './run.mjs';

const TUN_NODE = '/dev/net/tun';
const ALL_MAY_OPEN = 0o666;

/** Whether ordinary users may open /dev/net/tun, as udev lets them on most systems. */
export function everybodyMayOpenTun() {
  return (statSync(TUN_NODE).mode & ALL_MAY_OPEN) === ALL_MAY_OPEN;
}

/**
 * Runs this program again where everybody may: in a mount namespace with a node of its own, so that the system's stays as it is.
 *
 * @returns {Promise<number>} the exit code
 */
export function runAgainWithOpenTun() {
  console.log(`${TUN_NODE} is closed to ordinary users here; the tests get one of their own`);
  const ownNode = `mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 ${TUN_NODE} c 10 200 && exec "$@"`;
  return handOver('unshare', [
    '--mount',
    'sh',
    '-c',
    ownNode,
    'sh',
    process.execPath,
    ...process.argv.slice(1),
  ]);
}
