/** How long a command line takes from start to end, compared with Node doing nothing. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { summarize } from '../statistics.ts';
import type { Summary } from '../statistics.ts';

export interface StartUp {
  readonly name: string;
  /** Milliseconds. */
  readonly time: Summary | null;
  /** Relative to Node doing nothing, in the same round. */
  readonly ratio: Summary | null;
}

const BIN = fileURLToPath(new URL('../../dist/bin.js', import.meta.url));
const IDLE = { name: 'node -e 0', args: ['-e', '0'] };
const COMMAND_LINES = [
  IDLE,
  { name: 'ttun --version', args: [BIN, '--version'] },
  { name: 'ttun --help', args: [BIN, '--help'] },
  { name: 'ttun show', args: [BIN, 'show'] },
];
const ROUNDS = 15;
const NANOSECONDS_PER_MILLISECOND = 1e6;

export function measureStartUp(): StartUp[] {
  const rounds = Array.from({ length: ROUNDS }, () =>
    COMMAND_LINES.map(({ name, args }) => ({ name, ms: time(args) })),
  );
  return COMMAND_LINES.map(({ name }) => ({
    name,
    time: summarize(rounds.map((round) => msOf(round, name))),
    ratio: summarize(rounds.map((round) => msOf(round, name) / msOf(round, IDLE.name))),
  }));
}

function time(args: readonly string[]): number {
  const begin = process.hrtime.bigint();
  spawnSync(process.execPath, args, { stdio: 'ignore' });
  return Number(process.hrtime.bigint() - begin) / NANOSECONDS_PER_MILLISECOND;
}

function msOf(round: readonly { readonly name: string; readonly ms: number }[], name: string): number {
  return round.find((run) => run.name === name)?.ms ?? Number.NaN;
}
