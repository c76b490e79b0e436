/** Numbered packets through every tunnel in both directions, of both families, to connected and to routed addresses. */
import { Caller } from '../messages.ts';
import type { Network } from './network.ts';
import * as plan from './plan.ts';
import type { Destination, SiteName } from './plan.ts';
import type { Family } from '../site.ts';
import type { Heard, Sent, TrafficAgent } from './traffic-agent.ts';
import { waitFor } from '../wait.ts';

export interface StreamKind {
  readonly tunnel: number;
  readonly family: Family;
  readonly destination: Destination;
}

/** The streams of each direction; an index into this is a stream's number. */
export const STREAMS: readonly StreamKind[] = plan.TUNNELS.flatMap(({ number }) =>
  plan.FAMILIES.flatMap((family) =>
    (['connected', 'routed'] as const).map((destination) => ({ tunnel: number, family, destination })),
  ),
);

/** Between two packets of a stream. */
export const INTERVAL_MS = 50;

export class Traffic implements AsyncDisposable {
  readonly #agents: Readonly<Record<SiteName, Caller<TrafficAgent>>>;

  private constructor(agents: Readonly<Record<SiteName, Caller<TrafficAgent>>>) {
    this.#agents = agents;
  }

  static async open(network: Network): Promise<Traffic> {
    const script = new URL('traffic-agent.ts', import.meta.url);
    const agent = (name: SiteName): Caller<TrafficAgent> => new Caller(network[name].startScript(script));
    const traffic = new Traffic({ a: agent('a'), b: agent('b') });
    for (const name of plan.SITE_NAMES) {
      const streams = STREAMS.map(({ tunnel, family, destination }) => ({
        family,
        address: plan.innerAddress(plan.other(name), tunnel, family, destination),
      }));
      await traffic.#agents[name].call('open', streams, 30_000);
    }
    return traffic;
  }

  async send(): Promise<void> {
    await this.#all((agent) => agent.call('send', { everyMs: INTERVAL_MS }));
  }

  /** Resolves when every packet has been accepted or refused. */
  async pause(): Promise<void> {
    await this.#all((agent) => agent.call('pause', undefined));
    await waitFor('all packets to be sent', async () => {
      const pending = await this.#all((agent) => agent.call('sent', undefined));
      return pending.every((each) => each.pending === 0);
    });
  }

  async sent(from: SiteName): Promise<readonly Sent[]> {
    return (await this.#agents[from].call('sent', undefined)).streams;
  }

  /** What arrived at a site. */
  heard(at: SiteName): Promise<readonly Heard[]> {
    return this.#agents[at].call('heard', undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#all((agent) => agent.process[Symbol.asyncDispose]());
  }

  #all<T>(action: (agent: Caller<TrafficAgent>) => Promise<T>): Promise<readonly T[]> {
    return Promise.all(plan.SITE_NAMES.map((name) => action(this.#agents[name])));
  }
}

/** The clock that the times of `Heard` refer to. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
