import { setTimeout as sleep } from 'node:timers/promises';
import { survey } from '../../control/client.ts';
import type { Survey } from '../../control/client.ts';
import type { ProcessReport } from '../../control/protocol.ts';
import { describeNetworkNamespace } from '../../control/socket-file.ts';
import { diffStats } from '../../rates.ts';
import type { TunnelRates } from '../../rates.ts';
import type { TunnelReport } from '../../tunnel-host.ts';
import type { TunnelStats } from '../../stats.ts';
import { UsageError } from '../args.ts';
import { toDocuments } from '../commands/show.ts';
import { abortOnSignals } from '../run-tunnel.ts';
import { runningTunnels } from '../running.ts';
import type { RunningTunnel } from '../running.ts';
import { endByHangUp } from '../terminal.ts';
import { Keys, Screen } from './screen.ts';
import type { Motion, Wish } from './screen.ts';
import { drawView, rowsForTunnels } from './view.ts';
import type { View } from './view.ts';

export interface WatchOptions {
  /** Lines of JSON instead of a view. */
  readonly json: boolean;
  readonly intervalMs: number;
}

/** Looks again and again, until a key or a signal ends it. */
export async function runWatch(
  names: readonly string[],
  { json, intervalMs }: WatchOptions,
): Promise<number> {
  if (!json) requireTerminal();
  const signal = abortOnSignals();
  // Nobody may be there any more to see it.
  const gone = new AbortController();
  process.stdout.on('error', () => gone.abort());
  const ended = AbortSignal.any([signal, gone.signal]);
  if (json) await printDocuments(names, intervalMs, ended);
  else await new Watch(names, (await describeNetworkNamespace()).inode, intervalMs).run(ended);
  if (signal.reason === 'SIGHUP') endByHangUp();
  return 0;
}

async function printDocuments(
  names: readonly string[],
  intervalMs: number,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    const next = performance.now() + intervalMs;
    const found = await survey();
    // A reader that is slow gets fewer of them.
    if (!process.stdout.writableNeedDrain) {
      process.stdout.write(`${JSON.stringify(toDocuments(found, names))}\n`);
    }
    await sleep(Math.max(0, next - performance.now()), undefined, { signal: ended }).catch(() => {});
  }
}

function requireTerminal(): void {
  if (process.stdout.isTTY && process.env['TERM'] !== 'dumb') return;
  throw new UsageError(
    '--watch draws on a terminal, and this is none; for programs: ttun show --watch --json prints a line each time',
  );
}

// The live view of `ttun show --watch`.

export class Watch {
  readonly #screen = new Screen(process.stdout);
  readonly #keys = new Keys(process.stdin, (wish) => this.#onWish(wish));
  readonly #redraw = (): void => this.#draw();
  readonly #tunnels: WatchedTunnels;
  readonly #names: readonly string[];
  readonly #intervalMs: number;
  readonly #end = new AbortController();
  #isPaused = false;
  /** What was seen last, and is on the screen while it is paused. */
  #view: View | null = null;
  /** Index of the first tunnel on the screen. */
  #top = 0;

  constructor(names: readonly string[], namespace: number, intervalMs: number) {
    this.#tunnels = new WatchedTunnels(names, namespace);
    this.#names = names;
    this.#intervalMs = intervalMs;
  }

  /** Runs until a key or `ended` ends it, and leaves the terminal as it was. */
  async run(ended: AbortSignal): Promise<void> {
    ended.addEventListener('abort', () => this.#end.abort(), { once: true });
    if (ended.aborted) return;
    process.stdout.on('resize', this.#redraw);
    // Whatever stopped us: a shell has written on the screen meanwhile, and may have changed its modes.
    process.on('SIGCONT', this.#borrowTerminal);
    this.#borrowTerminal();
    try {
      while (!this.#end.signal.aborted) {
        const next = performance.now() + this.#intervalMs;
        await this.#look();
        await this.#waitUntil(next);
      }
    } finally {
      process.off('SIGCONT', this.#borrowTerminal);
      process.stdout.off('resize', this.#redraw);
      this.#returnTerminal();
    }
  }

  async #look(): Promise<void> {
    const found = await survey(ANSWER_LIMIT_MS);
    const at = performance.now();
    // The histories go on while the view stands still.
    const tunnels = this.#tunnels.update(found, at);
    if (this.#isPaused) return;
    this.#view = {
      tunnels,
      nothing: this.#names.length === 0 ? 'No tunnel runs.' : `No tunnel ${this.#names.join(', ')} runs.`,
      intervalMs: this.#intervalMs,
      isPaused: false,
      at,
      time: new Date().toTimeString().slice(0, 8),
    };
    this.#draw();
  }

  #draw(): void {
    if (this.#view === null) return;
    this.#top = Math.max(0, Math.min(this.#top, this.#lowestTop()));
    this.#screen.draw(drawView(this.#view, this.#top, this.#screen));
  }

  #lowestTop(): number {
    return (this.#view?.tunnels.length ?? 0) - rowsForTunnels(this.#screen.rows);
  }

  #onWish(wish: Wish): void {
    if (wish === 'quit') this.#end.abort();
    else if (wish === 'suspend') this.#suspend();
    else if (wish === 'redraw') this.#draw();
    else if (wish === 'pause') this.#pause();
    else this.#move(wish);
  }

  #pause(): void {
    this.#isPaused = !this.#isPaused;
    if (this.#view !== null) this.#view = { ...this.#view, isPaused: this.#isPaused };
    this.#draw();
  }

  #move(motion: Motion): void {
    const page = rowsForTunnels(this.#screen.rows);
    const steps = { up: -1, down: 1, 'page-up': -page, 'page-down': page, top: -Infinity, bottom: Infinity };
    this.#top = Math.max(0, Math.min(this.#top + steps[motion], this.#lowestTop()));
    this.#draw();
  }

  /** As Ctrl-Z does elsewhere: the terminal sends the signal to all processes of the job. */
  #suspend(): void {
    this.#returnTerminal();
    process.kill(0, 'SIGTSTP');
    // Here again, or without anybody who could have stopped and continued the job.
    this.#borrowTerminal();
  }

  readonly #borrowTerminal = (): void => {
    this.#keys.begin();
    this.#screen.open();
    this.#draw();
  };

  #returnTerminal(): void {
    this.#screen.close();
    this.#keys.end();
  }

  async #waitUntil(time: number): Promise<void> {
    const left = Math.max(0, time - performance.now());
    // Rejects when it is ended, which is seen where it is called.
    await sleep(left, undefined, { signal: this.#end.signal }).catch(() => {});
  }
}

/** A process that does not answer must not hold up what the others tell. */
const ANSWER_LIMIT_MS = 1000;

// The tunnels that are watched, as they come, change and go.

export interface Watched {
  /** Its name, with what tells it from others of that name. */
  readonly label: string;
  readonly report: TunnelReport;
  readonly history: History;
  /** Its process gave no answer this time, so this is what it said last. */
  readonly isSilent: boolean;
}

export class WatchedTunnels {
  readonly #names: readonly string[];
  /** Inode of the network namespace of who watches. */
  readonly #namespace: number;
  #known = new Map<string, { readonly tunnel: RunningTunnel; readonly history: History }>();

  /** @param names only tunnels with these; all when there are none */
  constructor(names: readonly string[], namespace: number) {
    this.#names = names;
    this.#namespace = namespace;
  }

  /** @param now in ms of a clock that only goes forward */
  update(found: Survey, now: number): Watched[] {
    const silent = new Set(found.silent.map(({ path }) => path));
    const left = [...this.#known.values()].map(({ tunnel }) => tunnel).filter(({ path }) => silent.has(path));
    const tunnels = [...runningTunnels(found), ...left].filter(({ report }) => this.#isWanted(report));
    const histories = tunnels.map((tunnel) => this.#known.get(keyOf(tunnel))?.history ?? new History());
    this.#known = new Map(
      tunnels.map((tunnel, index) => [keyOf(tunnel), { tunnel, history: histories[index] ?? new History() }]),
    );
    return [...this.#known.values()].map(({ tunnel, history }) => {
      const isSilent = silent.has(tunnel.path);
      history.add(isSilent ? null : tunnel.report.stats, now);
      return { label: this.#labelOf(tunnel, tunnels), report: tunnel.report, history, isSilent };
    });
  }

  #isWanted({ name }: TunnelReport): boolean {
    return this.#names.length === 0 || this.#names.includes(name);
  }

  #labelOf({ report: { name }, process }: RunningTunnel, all: readonly RunningTunnel[]): string {
    const { inode, name: namespace } = process.networkNamespace;
    const namesakes = all.filter((other) => other.report.name === name);
    if (inode !== this.#namespace && namespace !== null && areApart(namesakes, inode)) {
      return `${name} (${namespace})`;
    }
    return namesakes.length > 1 ? `${name} (${process.pid})` : name;
  }
}

/** Whether just one of them is in that network namespace. */
function areApart(tunnels: readonly { readonly process: ProcessReport }[], namespace: number): boolean {
  return tunnels.filter(({ process }) => process.networkNamespace.inode === namespace).length === 1;
}

/** The socket's path names the process. */
function keyOf({ path, report }: RunningTunnel): string {
  return `${path} ${report.name}`;
}

// What is remembered of a tunnel while it is watched: how much it carried over the last minute.

export const REMEMBERED_MS = 60_000;

export class History {
  /** Between the last two looks; `null` before there were two. */
  rates: TunnelRates | null = null;
  #last: TunnelStats | null = null;
  /** The oldest first. */
  #samples: Sample[] = [];

  /** @param now in ms of a clock that only goes forward */
  add(stats: TunnelStats | null, now: number): void {
    this.rates = stats === null || this.#last === null ? null : ratesBetween(this.#last, stats);
    this.#last = stats;
    this.#samples = this.#samples.filter(({ at }) => now - at < REMEMBERED_MS);
    if (this.rates === null) return;
    this.#samples.push({ at: now, bits: 8 * (this.rates.encap.bytes + this.rates.decap.bytes) });
  }

  /**
   * The last minute in `count` parts, the oldest first: the highest rate of each in bit/s, or `null` where nobody looked.
   * The parts keep their bounds as time goes on, so that what was drawn moves, but does not change.
   */
  inParts(count: number, now: number): (number | null)[] {
    const length = REMEMBERED_MS / count;
    const current = Math.floor(now / length);
    const parts = Array.from({ length: count }, (): number | null => null);
    for (const { at, bits } of this.#samples) {
      const index = count - 1 - (current - Math.floor(at / length));
      if (index >= 0) parts[index] = Math.max(parts[index] ?? 0, bits);
    }
    return parts;
  }
}

/** `null` for figures that go back in time, as no process tells them that means well. */
function ratesBetween(before: TunnelStats, after: TunnelStats): TunnelRates | null {
  const goesOn = before.openedAt !== after.openedAt || before.uptimeMs <= after.uptimeMs;
  return goesOn ? diffStats(before, after) : null;
}

interface Sample {
  readonly at: number;
  readonly bits: number;
}
