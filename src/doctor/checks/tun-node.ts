import type { HostFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

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
