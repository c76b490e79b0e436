/** The buffer into which the binding writes the figures of a tunnel, and where in it each of them is. */
import type { BindingStatsLayout } from '../binding.cjs';
import { TtunError } from './errors.ts';
import { loadedBinding } from './native.ts';

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
