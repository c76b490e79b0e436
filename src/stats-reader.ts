/**
 * From the binding's buffer to the objects that users get. An object made by the binding would take several times as long:
 * each of its properties is a call into Node.
 */
import { getSystemErrorName } from 'node:util';
import type { BindingDescription, BindingStatsLayout, BindingTunnel } from '../binding.cjs';
import { TtunError } from './errors.ts';
import { loadedBinding } from './native.ts';
import type { TunnelStats } from './stats.ts';

/** Reads the figures of one tunnel. */
export class StatsReader {
  readonly #binding: BindingTunnel;
  readonly #openedAt: number;
  #description: BindingDescription;

  constructor(binding: BindingTunnel) {
    this.#binding = binding;
    const buffer = figureBuffer();
    binding.readStats(buffer.numbers);
    this.#description = describe(binding);
    this.#openedAt = buffer.measure('timestamp') - buffer.measure('uptimeMs');
  }

  read(): TunnelStats {
    const buffer = figureBuffer();
    const { numbers } = buffer;
    if (this.#binding.readStats(numbers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => numbers[place] ?? 0);
  }

  readExact(): TunnelStats<bigint> {
    const buffer = figureBuffer();
    const { integers } = buffer;
    if (this.#binding.readExactStats(integers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => integers[place] ?? 0n);
  }

  #toStats<Count extends number | bigint>(
    buffer: FigureBuffer,
    countAt: (place: number) => Count,
  ): TunnelStats<Count> {
    const { device, socket } = this.#description;
    const { places } = buffer;
    const count = (name: CountName): Count => countAt(places[name]);
    return {
      timestamp: buffer.measure('timestamp'),
      openedAt: this.#openedAt,
      uptimeMs: buffer.measure('uptimeMs'),
      state: buffer.state,
      device: {
        name: device.name,
        index: device.index,
        mtu: buffer.measure('device.mtu'),
        offload: device.offload,
      },
      socket: {
        local: socket.local,
        remote: socket.remote,
        pathMtu: buffer.measureOrNull('socket.pathMtu'),
        segmentsPerSend: buffer.measure('socket.segmentsPerSend'),
        gro: socket.gro,
        receiveBuffer: socket.receiveBuffer,
        sendBuffer: socket.sendBuffer,
        receiveOverflow: count('socket.receiveOverflow'),
        errors: readErrors(buffer, countAt),
      },
      encap: {
        received: count('encap.received'),
        packets: count('encap.packets'),
        bytes: count('encap.bytes'),
        reads: count('encap.reads'),
        sends: count('encap.sends'),
        fragmented: count('encap.fragmented'),
        dropped: count('encap.dropped'),
        drops: {
          'peer-unreachable': count('encap.drops.peer-unreachable'),
          'too-big': count('encap.drops.too-big'),
          'no-buffer-space': count('encap.drops.no-buffer-space'),
          'send-error': count('encap.drops.send-error'),
          'routing-loop': count('encap.drops.routing-loop'),
          malformed: count('encap.drops.malformed'),
          closed: count('encap.drops.closed'),
        },
      },
      decap: {
        received: count('decap.received'),
        packets: count('decap.packets'),
        bytes: count('decap.bytes'),
        receives: count('decap.receives'),
        writes: count('decap.writes'),
        dropped: count('decap.dropped'),
        drops: {
          malformed: count('decap.drops.malformed'),
          empty: count('decap.drops.empty'),
          truncated: count('decap.drops.truncated'),
          'source-not-allowed': count('decap.drops.source-not-allowed'),
          'device-down': count('decap.drops.device-down'),
          'device-error': count('decap.drops.device-error'),
          closed: count('decap.drops.closed'),
        },
        lastAt: buffer.measureOrNull('decap.lastAt'),
      },
    };
  }
}

function describe(binding: BindingTunnel): BindingDescription {
  const description = binding.describe();
  // One object for all snapshots until it changes.
  Object.freeze(description.device.offload);
  return description;
}

function readErrors<Count extends number | bigint>(
  { errorsFrom, numbers }: FigureBuffer,
  countAt: (place: number) => Count,
): Record<string, Count> {
  const errors: Record<string, Count> = {};
  for (let pair = errorsFrom; pair + 1 < numbers.length; pair += 2) {
    const occurred = countAt(pair + 1);
    if (Number(occurred) === 0) break;
    errors[getSystemErrorName(-Number(countAt(pair)))] = occurred;
  }
  return errors;
}

// The buffer into which the binding writes the figures of a tunnel, and where in it each of them is.

/** Figures that may have a fraction, or be missing (`NaN`). */
const MEASURES = [
  'timestamp',
  'uptimeMs',
  'state',
  'device.mtu',
  'socket.pathMtu',
  'socket.segmentsPerSend',
  'decap.lastAt',
] as const;

/** Figures that count from 0 up. */
const COUNTS = [
  'socket.receiveOverflow',
  'encap.received',
  'encap.packets',
  'encap.bytes',
  'encap.reads',
  'encap.sends',
  'encap.fragmented',
  'encap.dropped',
  'encap.drops.peer-unreachable',
  'encap.drops.too-big',
  'encap.drops.no-buffer-space',
  'encap.drops.send-error',
  'encap.drops.routing-loop',
  'encap.drops.malformed',
  'encap.drops.closed',
  'decap.received',
  'decap.packets',
  'decap.bytes',
  'decap.receives',
  'decap.writes',
  'decap.dropped',
  'decap.drops.malformed',
  'decap.drops.empty',
  'decap.drops.truncated',
  'decap.drops.source-not-allowed',
  'decap.drops.device-down',
  'decap.drops.device-error',
  'decap.drops.closed',
] as const;

/** In the order of their numbers. */
const STATES = ['up', 'waiting', 'closed'] as const;

export type MeasureName = (typeof MEASURES)[number];
export type CountName = (typeof COUNTS)[number];
type Name = MeasureName | CountName;

/** One piece of memory, filled anew at each reading, seen in two ways: counts stand in it as numbers or as integers. */
export class FigureBuffer {
  readonly numbers: Float64Array;
  readonly integers: BigUint64Array;
  /** Where each figure is. */
  readonly places: Readonly<Record<Name, number>>;
  /** Where pairs of an error number and how often it occurred begin. They end with one that did not occur, or with the buffer. */
  readonly errorsFrom: number;

  constructor(layout: BindingStatsLayout) {
    this.numbers = new Float64Array(layout.length);
    this.integers = new BigUint64Array(this.numbers.buffer);
    this.places = findPlaces(layout);
    this.errorsFrom = layout.figures.length;
  }

  measure(name: MeasureName): number {
    return this.numbers[this.places[name]] ?? Number.NaN;
  }

  measureOrNull(name: MeasureName): number | null {
    const measure = this.measure(name);
    return Number.isNaN(measure) ? null : measure;
  }

  get state(): (typeof STATES)[number] {
    return STATES[this.measure('state')] ?? 'closed';
  }
}

let shared: FigureBuffer | undefined;

/** The one buffer for all tunnels of this thread: what is read is taken out before anything else runs. */
export function figureBuffer(): FigureBuffer {
  shared ??= new FigureBuffer(loadedBinding().statsLayout());
  return shared;
}

/** The order is the binding's own; that it has just the names which are looked up here is checked. */
function findPlaces({ figures, states }: BindingStatsLayout): Record<Name, number> {
  const names: readonly Name[] = [...MEASURES, ...COUNTS];
  const places = names.map((name) => [name, figures.indexOf(name)] as const);
  const agreed =
    figures.length === names.length &&
    places.every(([, place]) => place >= 0) &&
    states.join() === STATES.join();
  if (!agreed) {
    throw new TtunError('ERR_TTUN_INTERNAL', 'the native part of ttun counts other figures than this one', {
      hint: 'build or install both in the same version',
    });
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the entries are those of all names
  return Object.fromEntries(places) as Record<Name, number>;
}
