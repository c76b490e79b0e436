/**
 * A CPU profile of two running tunnels, with perf(1): `node --import @oxc-node/core/register bench/profile/main.ts --help`
 *
 * docs/performance.md describes how to build with function names, and how to read the profile.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { start } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import { ttun, VARIANTS } from '../contenders/ttun.ts';
import { Iperf } from '../figures/iperf.ts';
import { FAST_LINKS, LINKS } from '../links.ts';
import { DEFAULT_CONGESTION } from '../options.ts';
import { table } from '../report/tables.ts';
import { bringUp } from '../turn.ts';
import { readSamples } from './samples.ts';
import type { Sample } from './samples.ts';

const HELP = `Usage: profile [--link veth|wire|wire-checksum] [--load tcp|udp] [--mtu 1472|1500] [--seconds N]

Joins two sites with ttun, puts the tunnel under load and prints where each end spends its time.
`;

/** Not a multiple of the kernel's tick rate, so that samples are not synchronised with it. */
const SAMPLES_PER_SECOND = 2999;
/** The load runs this much longer than the recording, at either end of it. */
const MARGIN_SECONDS = 1;
const FUNCTIONS_SHOWN = 25;

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'veth' },
    load: { type: 'string', default: 'tcp' },
    mtu: { type: 'string', default: '1472' },
    seconds: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});
// A normal exit lets the test bed remove its namespaces.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

if (values.help) process.stdout.write(HELP);
else await profile();

async function profile(): Promise<void> {
  const link = oneOf('--link', values.link, FAST_LINKS);
  const load = oneOf('--load', values.load, ['tcp', 'udp'] as const);
  const mtu = oneOf(
    '--mtu',
    Number(values.mtu),
    VARIANTS.map(({ tunMtu }) => tunMtu),
  );
  const seconds = Number(values.seconds);

  await using sites = await createSites({ link: LINKS[link].underlay, tunMtu: mtu });
  const contender = ttun('ttun', fileURLToPath(new URL('../..', import.meta.url)), {
    name: `${mtu}`,
    tunMtu: mtu,
    options: [],
  });
  const ends = await bringUp(contender, sites);
  if (ends === null) throw new TypeError('ttun has no process');

  const recording = join(await mkdtemp(join(tmpdir(), 'ttun-profile-')), 'perf.data');
  const iperf = await Iperf.start(sites.a, sites.b, contender.addresses(sites.b).ipv4, DEFAULT_CONGESTION);
  const whole = seconds + 2 * MARGIN_SECONDS;
  const [result] = await Promise.all([
    load === 'tcp'
      ? iperf.tcp({ seconds: whole })
      : iperf.udp({ seconds: whole, payload: 64, bitsPerSecond: 0 }),
    record([ends.a.pid, ends.b.pid], seconds, recording),
  ]);
  console.log(result);
  const samples = await readSamples(recording);
  printShares(
    'sending end',
    samples.filter(({ pid }) => pid === ends.a.pid),
    seconds,
  );
  printShares(
    'receiving end',
    samples.filter(({ pid }) => pid === ends.b.pid),
    seconds,
  );
  console.log(`\nWith callers: perf report -i ${recording} --no-children -g caller`);
}

/** Records both processes in the middle of the load. */
async function record(pids: readonly number[], seconds: number, recording: string): Promise<void> {
  // The clock event works in virtual machines too, where the processor's own counters often do not.
  const sampling = ['-e', 'cpu-clock', '-F', `${SAMPLES_PER_SECOND}`, '-g', '-p', pids.join(',')];
  const perf = ['perf', 'record', ...sampling, '-o', recording, '--', 'sleep', `${seconds}`];
  await using recorder = start(['sh', '-c', `sleep ${MARGIN_SECONDS}; exec "$@"`, 'sh', ...perf]);
  const { status } = await recorder.exited;
  if (status !== 0) throw new Error(`perf record failed: ${recorder.stderr}`);
}

function printShares(title: string, samples: readonly Sample[], seconds: number): void {
  const busy = samples.length / SAMPLES_PER_SECOND / seconds;
  console.log(`\n## ${title}: ${(busy * 100).toFixed(0)} % of a core\n`);
  console.log(
    table(
      ['%', 'where'],
      shares(samples, ({ place }) => [place]),
    ),
  );
  console.log('');
  const functions = shares(samples, ({ library, symbol }) => [library, symbol]);
  console.log(table(['%', 'library', 'function'], functions.slice(0, FUNCTIONS_SHOWN)));
}

/** Percent of the samples by what they have in common, the largest share first. */
function shares(samples: readonly Sample[], by: (sample: Sample) => readonly string[]): string[][] {
  const counts = new Map<string, number>();
  for (const sample of samples) {
    const key = by(sample).join('\0');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .toSorted(([, one], [, other]) => other - one)
    .map(([key, count]) => [((100 * count) / samples.length).toFixed(1), ...key.split('\0')]);
}

function oneOf<const T extends string | number>(
  option: string,
  value: string | number,
  known: readonly T[],
): T {
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${option} ${value}: must be one of ${known.join(', ')}`);
  return found;
}
