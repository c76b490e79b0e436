/** `npm run bench`: see docs/performance.md for what is measured and how. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { chooseContenders } from './contenders/index.ts';
import { measureStartUp } from './figures/start-up.ts';
import { reportStatsCost } from './figures/stats-cost.ts';
import { describeMachine } from './machine.ts';
import { HELP, OptionError, parseOptions } from './options.ts';
import type { Options } from './options.ts';
import { report } from './report.ts';
import { measureAll } from './rounds.ts';
import type { Sample } from './rounds.ts';

// A normal exit lets the test bed remove its namespaces.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** Load average above which other programs compete with the bench. */
const BUSY = 0.5;

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(HELP);
  else process.exitCode = await bench(options);
} catch (error) {
  if (!(error instanceof OptionError)) throw error;
  process.stderr.write(`bench: ${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}

/** Resolves to the exit code. */
async function bench(chosen: Options): Promise<number> {
  const machine = await describeMachine();
  if (machine.load > BUSY) {
    say(
      `the machine is busy (load ${machine.load.toFixed(1)}): only the ratios are meaningful, and they are imprecise`,
    );
  }
  if (chosen.subject === 'stats') {
    process.stdout.write(`${await reportStatsCost(chosen)}\n`);
    return 0;
  }
  const { contenders, absent } = await chooseContenders(chosen);
  if (absent.length > 0) say(`not installed, so omitted: ${absent.join(', ')}`);
  const samples: Sample[] = [];
  const total = chosen.links.length * chosen.rounds * contenders.length;
  for await (const sample of measureAll(contenders, chosen)) {
    samples.push(sample);
    say(`[${samples.length}/${total}] ${describe(sample)}`);
  }
  const startUp = measureStartUp();
  process.stdout.write(`${report(samples, contenders, machine, chosen, startUp)}\n`);
  await mkdir(dirname(chosen.json), { recursive: true });
  await writeFile(
    chosen.json,
    `${JSON.stringify({ machine, options: chosen, samples, startUp }, null, 2)}\n`,
  );
  say(`single results: ${chosen.json}`);
  return samples.some(({ error }) => error !== null) ? 1 : 0;
}

function describe({ link, round, contender, figures, error }: Sample): string {
  const outcome = figures === null ? `failed: ${error}` : `${(figures.tcp / 1e9).toFixed(2)} Gbit/s`;
  return `${link}, round ${round}: ${contender} ${outcome}`;
}

/** Progress goes to standard error, the tables to standard output. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
