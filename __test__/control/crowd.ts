/** A process that claims to run many tunnels, two of which have problems. */
import { startControlServer } from '../../src/control/server.ts';
import { reportOf } from '../stats-of-nothing.ts';
import { hostOf, REPORT } from './host.ts';

const names = Array.from({ length: 28 }, (_, index) => `tunnel${String(index + 1).padStart(2, '0')}`);
const problem = { code: 'ERR_TTUN_DEVICE_NOT_FOUND', message: 'there is no device tun9', hint: 'make it' };
await startControlServer(
  hostOf(
    ...names.map((name) => ({ ...REPORT, name })),
    reportOf({ ...REPORT, name: 'broken', phase: 'retrying', problem, stats: null }),
    reportOf({ ...REPORT, name: 'fresh', phase: 'opening', stats: null }),
  ),
);
process.stdout.write('ready\n');
setInterval(() => {}, 60_000);
