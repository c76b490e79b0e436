import type { FindingCode } from '../catalogue.ts';
import type { HostFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

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
