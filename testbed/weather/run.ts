/** Random weather over two sites: after each change that leaves a working path, traffic must be back in time, and nothing is lost silently. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ADDRESS_CHANGES } from './address-changes.ts';
import { audit, isSame, lossesOf, takeSnapshot } from './accounts.ts';
import type { Both } from './accounts.ts';
import { chooseChange, describeChange, parseChange } from './changes.ts';
import type { Change, Effect, Kind } from './changes.ts';
import { runToEnd } from '../exec.ts';
import { END_CHANGES, restartAll } from './end-changes.ts';
import { LINK_CHANGES } from './link-changes.ts';
import type { Family } from '../site.ts';
import { Ends } from './ends.ts';
import { newModel, pathOf } from './model.ts';
import type { Model } from './model.ts';
import { Network } from './network.ts';
import * as plan from './plan.ts';
import type { SiteName, Tunnel } from './plan.ts';
import { Random } from './random.ts';
import { unsettled } from './settled.ts';
import { INTERVAL_MS, monotonicMs, STREAMS, Traffic } from './traffic.ts';

export const KINDS: readonly Kind[] = [...ADDRESS_CHANGES, ...LINK_CHANGES, ...END_CHANGES];

export interface Options {
  readonly seed: number;
  /** No change begins after this time. */
  readonly forMs: number;
  /** Within which traffic must be back. */
  readonly limitMs: number;
  /** The most that a process may use of a processor while nothing can move. */
  readonly busyLimit: number;
  /** Instead of random ones. */
  readonly replay?: readonly string[];
  /** Only these kinds. */
  readonly kinds?: readonly string[];
  /** Continue after a failure. Default: stop. */
  readonly goOn?: boolean;
  /** Start both processes again after each change: what then does not work is a fault of the model, not of ttun. Default: no. */
  readonly fresh?: boolean;
  /** A command that shows what there is at a failure, with the namespaces as $A, $B and $R. */
  readonly onFailure?: string;
  readonly say: (line: string) => void;
}

export interface Result {
  readonly changes: readonly Outcome[];
}

export interface Outcome {
  readonly change: string;
  readonly kind: string;
  /** Tunnels that had a working path after it. */
  readonly working: number;
  /** From the end of the change until the last stream was unbroken, in ms; `null` if no tunnel was interrupted. */
  readonly recoveryMs: number | null;
  /** Where packets were lost, from the change until then. */
  readonly losses: string;
  readonly busy: number | null;
  readonly failures: readonly string[];
}

/** A stream that is unbroken for this long is back. */
const STEADY_MS = 400;
/** A stream that nothing was heard of for this long is not back. */
const SILENT_MS = 4 * INTERVAL_MS;
/** Two peers that are given by name have found a family that works for both: twice 30 s of silence, and some time to spare. */
const FIND_FAMILY_MS = 75_000;
/** What is on its way arrives within this time. */
const ON_THE_WAY_MS = 2000;

export async function runWeather(options: Options): Promise<Result> {
  const model = newModel();
  await using network = await Network.create(model);
  await using ends = await Ends.start(network);
  await using traffic = await Traffic.open(network);
  const weather = new Weather(options, model, network, ends, traffic);
  await traffic.send();
  const first = await weather.recover(monotonicMs(), 30_000);
  if (first.failures.length > 0) throw new Error(`traffic never began: ${first.failures.join('; ')}`);
  await traffic.pause();
  return { changes: await weather.run() };
}

class Weather {
  readonly #options: Options;
  readonly #model: Model;
  readonly #network: Network;
  readonly #ends: Ends;
  readonly #traffic: Traffic;
  readonly #worksSince = new Map<Family, number>();

  constructor(options: Options, model: Model, network: Network, ends: Ends, traffic: Traffic) {
    this.#options = options;
    this.#model = model;
    this.#network = network;
    this.#ends = ends;
    this.#traffic = traffic;
  }

  async run(): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let before = await this.#snapshot();
    for (const change of this.#changes()) {
      const { outcome, after } = await this.#step(change, before);
      outcomes.push(outcome);
      before = after;
      if (outcome.failures.length > 0 && this.#options.goOn !== true) break;
    }
    return outcomes;
  }

  *#changes(): Generator<Change> {
    const { seed, forMs, replay, kinds } = this.#options;
    if (replay !== undefined) {
      for (const text of replay) yield parseChange(KINDS, text);
      return;
    }
    const random = new Random(seed);
    const possible = KINDS.filter(({ name }) => kinds === undefined || kinds.includes(name));
    const end = performance.now() + forMs;
    while (performance.now() < end) yield chooseChange(possible, this.#model, random);
  }

  async #step(change: Change, before: Both): Promise<{ outcome: Outcome; after: Both }> {
    const { network, ends, model } = { network: this.#network, ends: this.#ends, model: this.#model };
    await this.#traffic.send();
    let effect: Effect = (await change.kind.apply({ network, ends, model }, change.args)) ?? {};
    const changedAt = monotonicMs();
    const wereReady = await network.linksReady(model);
    if (this.#options.fresh === true) effect = { ...effect, ...(await restartAll({ network, ends, model })) };
    this.#noteFamilies(effect.restarted !== undefined);
    // A link that the kernel does not use yet is no working path.
    const since = wereReady && this.#options.fresh !== true ? changedAt : monotonicMs();
    const { recoveryMs, failures } = await this.recover(since, this.#options.limitMs);
    if (failures.length === 0) failures.push(...(await this.#settle(since)));
    await this.#traffic.pause();
    const restarted = new Set(effect.restarted);
    const { after, problems } = await this.#audit(before, restarted);
    const busy = effect.busy ?? null;
    if (busy !== null && busy > this.#options.busyLimit) {
      failures.push(`a process used ${percent(busy)} of a processor while nothing could move`);
    }
    failures.push(...problems);
    if (failures.length > 0 && this.#options.onFailure !== undefined)
      await this.#show(this.#options.onFailure);
    const outcome = {
      change: describeChange(change),
      kind: change.kind.name,
      working: plan.TUNNELS.filter((tunnel) => this.#paths(tunnel).length > 0).length,
      recoveryMs,
      losses: lossesOf(before, after, restarted),
      busy,
      failures,
    };
    this.#report(outcome);
    return { outcome, after };
  }

  /** Waits until every stream that has a working path is steady. */
  async recover(since: number, limitMs: number): Promise<{ recoveryMs: number | null; failures: string[] }> {
    const working = await this.#required();
    for (;;) {
      const broken = await this.#brokenStreams(working);
      const now = monotonicMs();
      const backAt = Math.max(...broken.map(({ unbrokenSince }) => unbrokenSince));
      const silent = broken.filter(({ lastAt }) => lastAt < now - SILENT_MS);
      const steady = now - Math.max(backAt, since) >= STEADY_MS;
      if (silent.length === 0 && steady) {
        const recoveryMs = backAt > since ? backAt - since : null;
        if (recoveryMs === null || recoveryMs <= limitMs) return { recoveryMs, failures: [] };
      }
      if (now - since > limitMs + STEADY_MS + SILENT_MS) {
        const late = broken.filter(
          ({ lastAt, unbrokenSince }) => lastAt < now - SILENT_MS || unbrokenSince > since + limitMs,
        );
        return {
          recoveryMs: null,
          failures: [`not back within ${limitMs} ms: ${late.map((each) => each.name).join(', ')}`],
        };
      }
      await sleep(20);
    }
  }

  /** Waits until source and MTU of every tunnel that has a working path are as they should be. */
  async #settle(since: number): Promise<string[]> {
    for (;;) {
      const problems = await unsettled(this.#network, this.#ends, this.#model, await this.#required());
      const late = monotonicMs() - since > this.#options.limitMs + STEADY_MS;
      if (problems.length === 0 || late) return problems;
      await sleep(100);
    }
  }

  /** The tunnels that must work now. */
  async #required(): Promise<Tunnel[]> {
    const working = plan.TUNNELS.filter((tunnel) => this.#paths(tunnel).length > 0);
    const named = await Promise.all(working.map((tunnel) => this.#mustHaveFound(tunnel)));
    return working.filter((_, index) => named[index]);
  }

  /** Whether both ends use the same family, and it works; or one has worked for so long that both must have found it. */
  async #mustHaveFound(tunnel: Tunnel): Promise<boolean> {
    if (tunnel.style !== 'named') return true;
    const ends = await Promise.all(plan.SITE_NAMES.map((name) => this.#ends.stats(name)));
    const used = ends.map((stats) => stats.get(tunnel.number)?.socket.remote);
    const paths = this.#paths(tunnel);
    const now = monotonicMs();
    return paths.some((family) => {
      const isUsed = used.every((remote) => remote?.startsWith('[') === (family === 'ipv6'));
      return isUsed || now - (this.#worksSince.get(family) ?? now) > FIND_FAMILY_MS;
    });
  }

  /** The families of a tunnel's datagrams with a working path. */
  #paths(tunnel: Tunnel): Family[] {
    return plan.outerFamilies(tunnel).filter((family) => pathOf(this.#model, tunnel, family) === 'works');
  }

  /** Since when a named peer could have been found by each family. */
  #noteFamilies(started: boolean): void {
    for (const tunnel of plan.TUNNELS.filter(({ style }) => style === 'named')) {
      const paths = this.#paths(tunnel);
      for (const family of plan.FAMILIES) {
        if (!paths.includes(family)) this.#worksSince.delete(family);
        else if (started || !this.#worksSince.has(family)) this.#worksSince.set(family, monotonicMs());
      }
    }
  }

  async #brokenStreams(
    working: readonly Tunnel[],
  ): Promise<{ name: string; lastAt: number; unbrokenSince: number }[]> {
    const each = plan.SITE_NAMES.map(async (at) => {
      const heard = await this.#traffic.heard(at);
      return STREAMS.flatMap((stream, index) => {
        const tunnel = working.find(({ number }) => number === stream.tunnel);
        const state = heard[index];
        if (tunnel === undefined || state === undefined) return [];
        const name = `${plan.tunnelName(tunnel)} to ${at} (${stream.family} ${stream.destination})`;
        return [{ name, lastAt: state.lastAt, unbrokenSince: state.unbrokenSince }];
      });
    });
    return (await Promise.all(each)).flat();
  }

  /** Looks again until nothing moves and all is accounted for, or what is on its way must have arrived. */
  async #audit(before: Both, restarted: ReadonlySet<number>): Promise<{ after: Both; problems: string[] }> {
    const deadline = performance.now() + ON_THE_WAY_MS;
    let after = await this.#snapshot();
    for (;;) {
      await sleep(50);
      const later = await this.#snapshot();
      const problems = audit(before, later, restarted);
      if (performance.now() > deadline) return { after: later, problems };
      if (problems.length === 0 && isSame(after, later)) return { after: later, problems };
      after = later;
    }
  }

  async #snapshot(): Promise<Both> {
    const take = (name: SiteName) => takeSnapshot(this.#network, this.#ends, this.#traffic, name);
    const [a, b] = await Promise.all([take('a'), take('b')]);
    return { a, b };
  }

  async #show(command: string): Promise<void> {
    const { a, b, router } = this.#network;
    const env = { A: a.namespace, B: b.namespace, R: router.namespace };
    const { stdout, stderr } = await runToEnd(['sh', '-c', command], { env, timeoutMs: 60_000 });
    this.#options.say(`${stdout}${stderr}`);
  }

  #report({ change, working, recoveryMs, losses, busy, failures }: Outcome): void {
    const parts = [
      recoveryMs === null ? 'not interrupted' : `back after ${Math.round(recoveryMs)} ms`,
      ...(losses === '' ? [] : [`lost: ${losses}`]),
      ...(busy === null ? [] : [`${percent(busy)} of a processor`]),
    ];
    const outcome = failures.length === 0 ? parts.join(', ') : 'FAILED';
    this.#options.say(`${change}: ${outcome} (${working} of ${plan.TUNNELS.length} have a path)`);
    for (const failure of failures) this.#options.say(`    ${failure}`);
  }
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

/** Kind of change → how many, and the median and worst recovery. */
export function tableOf({ changes }: Result): string {
  const kinds = [...new Set(changes.map(({ kind }) => kind))].toSorted();
  const rows = kinds.map((kind) => {
    const of = changes.filter((change) => change.kind === kind);
    const times = of.map(({ recoveryMs }) => recoveryMs ?? 0).toSorted((one, two) => one - two);
    const failed = of.filter(({ failures }) => failures.length > 0).length;
    const [median, worst] = [times[Math.floor(times.length / 2)] ?? 0, times.at(-1) ?? 0];
    return [kind, `${of.length}`, `${Math.round(median)} ms`, `${Math.round(worst)} ms`, `${failed}`];
  });
  const header = ['change', 'count', 'median', 'worst', 'failed'];
  const widths = header.map((_, column) =>
    Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}
