/** The kinds of changes, and how one is chosen: by a random number and the model alone, so that a seed determines all of them. */
import type { Ends } from './ends.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

export interface Scene {
  readonly network: Network;
  readonly ends: Ends;
  readonly model: Model;
}

/** One change, as it is printed and replayed: `address-replaced a 0 ipv4 17 add-first`. */
export interface Change {
  readonly kind: Kind;
  readonly args: readonly string[];
}

export interface Kind {
  readonly name: string;
  /** How often it is chosen, in proportion to the others. */
  readonly weight: number;
  /** All that are possible now; random details are the caller's. */
  readonly options: (model: Model, random: Random) => readonly (readonly string[])[];
  /** Changes the network and the model. */
  readonly apply: (scene: Scene, args: readonly string[]) => Promise<Effect | void>;
}

export interface Effect {
  /** Numbers of tunnels whose counters do not continue. */
  readonly restarted?: readonly number[];
  /** Processor time of both processes while nothing could move, as a fraction of one processor. */
  readonly busy?: number;
}

export function chooseChange(kinds: readonly Kind[], model: Model, random: Random): Change {
  const possible = kinds
    .map((kind) => ({ kind, weight: kind.weight, options: kind.options(model, random) }))
    .filter(({ options }) => options.length > 0);
  const chosen = random.weighted(possible);
  const args = chosen === undefined ? undefined : random.pick(chosen.options);
  if (chosen === undefined || args === undefined) throw new Error('no change is possible');
  return { kind: chosen.kind, args };
}

export function describeChange({ kind, args }: Change): string {
  return [kind.name, ...args].join(' ');
}

/** @throws Error if there is no such kind */
export function parseChange(kinds: readonly Kind[], text: string): Change {
  const [name, ...args] = text.trim().split(/\s+/);
  const kind = kinds.find((each) => each.name === name);
  if (kind === undefined) throw new Error(`there is no change '${name}'`);
  return { kind, args };
}
