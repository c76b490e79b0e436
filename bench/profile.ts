/**
 * Where the time of two running tunnels goes, by perf(1):
 *
 *     npx napi build --platform --profile profiling --manifest-path crates/ttun-node/Cargo.toml \
 *       --output-dir . --js binding.cjs --dts binding.d.cts
 *     node --import @oxc-node/core/register bench/profile.ts [--link veth|wire] [--load tcp|udp] [--mtu 1472|1500] [--seconds N]
 *
 * The clock event works in virtual machines too, where the processor's own counters often do not.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run, start } from '../testbed/exec.ts';
import { createSites } from '../testbed/sites.ts';
import { ttun, TTUN_MTUS } from './contenders/ttun.ts';
import { bringUp } from './ends.ts';
import { Iperf } from './figures/iperf.ts';
import { LINKS } from './options.ts';

const SAMPLES_PER_SECOND = 2999;
/** Symbols below this share of a process's time, in percent, are left out. */
const LEAST_PERCENT = 0.7;
/** The load runs this much longer than the recording, at either end of it. */
const MARGIN_SECONDS = 1;
const REPORT_LIMIT_MS = 120_000;

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'veth' },
    load: { type: 'string', default: 'tcp' },
    mtu: { type: 'string', default: '1472' },
    seconds: { type: 'string', default: '3' },
  },
});
const link = oneOf('--link', values.link, LINKS);
const load = oneOf('--load', values.load, ['tcp', 'udp'] as const);
const mtu = TTUN_MTUS.find((known) => `${known}` === values.mtu);
if (mtu === undefined) throw new Error(`--mtu ${values.mtu}: must be one of ${TTUN_MTUS.join(', ')}`);
const seconds = Number(values.seconds);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

await using sites = await createSites({ link, tunMtu: mtu });
const contender = ttun('ttun', fileURLToPath(new URL('..', import.meta.url)), mtu);
const ends = await bringUp(contender, sites);
if (ends === null) throw new Error('ttun has no process');

const recording = join(await mkdtemp(join(tmpdir(), 'ttun-profile-')), 'perf.data');
const iperf = await Iperf.start(sites.a, sites.b, contender.addresses(sites.b).ipv4);
const running =
  load === 'tcp'
    ? iperf.tcp({ seconds: seconds + 2 * MARGIN_SECONDS })
    : iperf.udp({ seconds: seconds + 2 * MARGIN_SECONDS, payload: 64, bitsPerSecond: 0 });
await record([ends.a.pid, ends.b.pid]);
console.log(await running);
for (const [title, { pid }] of [
  ['sending end', ends.a],
  ['receiving end', ends.b],
] as const) {
  console.log(`\n## ${title}: by thread and library, in percent of its time\n`);
  console.log(await perfReport(pid, 'comm,dso'));
  console.log(`\n## ${title}: by function\n`);
  console.log(await perfReport(pid, 'dso,symbol'));
}
console.log(`\nWith callers: perf report -i ${recording} --no-children -g caller`);

/** Records both processes in the middle of the load. */
async function record(pids: readonly number[]): Promise<void> {
  const sampling = ['-e', 'cpu-clock', '-F', `${SAMPLES_PER_SECOND}`, '-g', '-p', pids.join(',')];
  const middle = ['sh', '-c', `sleep ${MARGIN_SECONDS}; exec "$@"`, 'sh'];
  await using perf = start([
    ...middle,
    'perf',
    'record',
    ...sampling,
    '-o',
    recording,
    '--',
    'sleep',
    `${seconds}`,
  ]);
  const { status } = await perf.exited;
  if (status !== 0) throw new Error(`perf record failed: ${perf.stderr}`);
}

async function perfReport(pid: number, sort: string): Promise<string> {
  const command = ['perf', 'report', '-i', recording, '--stdio', '--no-children', '-g', 'none'];
  const selection = ['--pid', `${pid}`, '--percentage', 'relative', '--percent-limit', `${LEAST_PERCENT}`];
  const { stdout } = await run([...command, ...selection, '--sort', sort], { timeoutMs: REPORT_LIMIT_MS });
  return stdout.replaceAll(/^(#.*)?\n/gm, '').trimEnd();
}

function oneOf<const T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${option} ${value}: must be one of ${known.join(', ')}`);
  return found;
}
