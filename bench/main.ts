/** `npm run bench`: see docs/performance.md for what is measured and how. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { chooseContenders } from './contenders/index.ts';
import { measureStartUp } from './figures/start-up.ts';
import { reportStatsCost } from './figures/stats-cost.ts';
import { congestionControls, describeMachine } from './machine.ts';
import { HELP, OptionError, parseOptions } from './options.ts';
import type { Options } from './options.ts';
import { report } from './report/report.ts';
import type { Results } from './report/report.ts';
import { planTurns, take } from './rounds.ts';
import type { Sample } from './rounds.ts';
import { turnSeconds } from './turn.ts';

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
  const { congestion } = chosen;
  const controls = await congestionControls(congestion);
  if (!controls.includes(congestion)) {
    throw new OptionError(`--congestion ${congestion}: this kernel has ${controls.join(', ')}`);
  }
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
  const field = await chooseContenders(chosen);
  if (field.absent.length > 0) say(`not installed, so omitted: ${field.absent.join(', ')}`);
  const turns = planTurns(field.contenders, chosen);
  if (turns.length === 0) throw new OptionError('none of these contenders takes part on these links');
  const expected = turns.reduce((sum, { link }) => sum + turnSeconds(link, chosen), 0);
  say(`${turns.length} turns, about ${Math.ceil(expected / 60)} min`);
  await prepareFile(chosen.json);
  const samples: Sample[] = [];
  const { absent } = field;
  const results: Results = { machine, options: chosen, absent, startUp: measureStartUp(), samples };
  for (const turn of turns) {
    const sample = await take(turn, chosen);
    samples.push(sample);
    say(`[${samples.length}/${turns.length}] ${describe(sample)}`);
    // After each turn, so that those of an interrupted run are kept.
    await writeFile(chosen.json, `${JSON.stringify(results, null, 2)}\n`);
  }
  process.stdout.write(`${report(field.contenders, results)}\n`);
  say(`results of each round: ${chosen.json}`);
  return samples.some(({ error }) => error !== null) ? 1 : 0;
}

/** Creates the file of the results: an hour later is too late to learn that it cannot be written. */
async function prepareFile(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '');
  } catch (error) {
    throw new OptionError(`--json ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function describe({ link, round, contender, figures, error }: Sample): string {
  return `${link}, round ${round}: ${contender} ${figures === null ? `failed: ${error}` : outcome(figures)}`;
}

function outcome({ tcp, pingBeside1, pingBeside8 }: NonNullable<Sample['figures']>): string {
  if (typeof tcp === 'number') return `${(tcp / 1e9).toFixed(2)} Gbit/s`;
  const [one, eight] = [pingBeside1, pingBeside8].map((ms) => ms?.toFixed(1) ?? '–');
  return `ping ${one} ms beside 1 TCP stream, ${eight} ms beside 8`;
}

/** Progress goes to standard error, the tables to standard output. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
