import { accessSync, constants } from 'node:fs';
import { outputOf } from './run.mjs';
import { Stop } from './stop.mjs';

/** The tests make network namespaces and TUN devices; without them nothing would be shown, so nothing is run. */
export function checkTestMachine() {
  if (process.platform !== 'linux') throw new Stop('the tests need Linux: they run real tunnels');
  if (process.getuid() !== 0) {
    throw new Stop('the tests make network namespaces and TUN devices, so they need root: use sudo');
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new Stop(
      'there is no /dev/net/tun to test with: modprobe tun (in a container: start it with --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN)',
    );
  }
  if (outputOf('unshare', ['--net', '--mount', 'true']) === null) {
    throw new Stop(
      'this machine does not let root make network and mount namespaces, in which the tests run (in a container: start it with --cap-add SYS_ADMIN)',
    );
  }
}
