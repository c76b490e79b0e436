/**
 * Snapshots of a tunnel's statistics. An object created by the binding would take several times as long as one created here from the numbers
 * in a buffer: each of its properties would be a call into Node.
 */
import { getSystemErrorName } from 'node:util';
import type { BindingStatsLayout, BindingTunnel } from '../binding.cjs';
import { TtunError } from './errors.ts';
import { loadBinding } from './native.ts';
import { STATES, STATS, toStats } from './stats-table.ts';
import type { StatsDescription, TunnelStats } from './stats-table.ts';

/** Reads the statistics of one tunnel. */
export class StatsReader {
  readonly #binding: BindingTunnel;
  #description: StatsDescription;

  constructor(binding: BindingTunnel) {
    this.#binding = binding;
    this.#description = describe(binding);
  }

  read(): TunnelStats {
    const buffer = statsBuffer();
    const { numbers } = buffer;
    if (this.#binding.readStats(numbers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => numbers[place] ?? 0);
  }

  readExact(): TunnelStats<bigint> {
    const buffer = statsBuffer();
    const { integers } = buffer;
    if (this.#binding.readExactStats(integers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => integers[place] ?? 0n);
  }

  #toStats<Count extends number | bigint>(
    { numbers, errorsFrom }: StatsBuffer,
    count: (place: number) => Count,
  ): TunnelStats<Count> {
    const gauge = (place: number): number => numbers[place] ?? Number.NaN;
    const errors: Record<string, Count> = {};
    for (let pair = errorsFrom; pair + 1 < numbers.length; pair += 2) {
      const occurred = count(pair + 1);
      if (Number(occurred) === 0) break;
      errors[getSystemErrorName(-Number(count(pair)))] = occurred;
    }
    return toStats(gauge, count, this.#description, errors);
  }
}

function describe(binding: BindingTunnel): StatsDescription {
  const description = binding.describe();
  // One object for all snapshots until it changes.
  Object.freeze(description.device.offload);
  return description;
}

/** One piece of memory, filled again at each reading, seen in two ways: with counts as numbers or as integers. */
interface StatsBuffer {
  readonly numbers: Float64Array;
  readonly integers: BigUint64Array;
  /** Where pairs of an error number and its count begin. They end with a count of 0, or with the buffer. */
  readonly errorsFrom: number;
}

let shared: StatsBuffer | undefined;

/** The one buffer for all tunnels of this thread: what is read is taken out before anything else runs. */
function statsBuffer(): StatsBuffer {
  shared ??= bufferFor(loadBinding().statsLayout());
  return shared;
}

function pathsOf(stats: readonly { readonly path: string }[]): string {
  return stats.map(({ path }) => path).join();
}

function bufferFor({ table, states, length }: BindingStatsLayout): StatsBuffer {
  if (pathsOf(table) !== pathsOf(STATS) || states.join() !== STATES.join()) {
    throw new TtunError(
      'ERR_TTUN_INTERNAL',
      'the statistics of the native part do not match this version of ttun',
      { hint: 'build or install both with the same version' },
    );
  }
  const numbers = new Float64Array(length);
  const errorsFrom = STATS.filter(({ kind }) => IN_BUFFER.has(kind)).length;
  return { numbers, integers: new BigUint64Array(numbers.buffer), errorsFrom };
}

const IN_BUFFER: ReadonlySet<string> = new Set([
  'counter',
  'drop',
  'bucket',
  'gauge',
  'gauge-if-known',
  'state',
]);
