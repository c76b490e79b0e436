/** `ttun show --watch`: live rates on the whole terminal, or as lines of JSON. */
import { setTimeout as sleep } from 'node:timers/promises';
import { survey } from '../control/client.ts';
import type { Survey } from '../control/client.ts';
import { describeNetworkNamespace } from '../control/socket-file.ts';
import { abortOnSignals, endByHangUp } from '../terminal.ts';
import { UsageError } from './args.ts';
import { toDocuments } from './running.ts';
import { Keys, Screen } from './screen.ts';
import type { KeyAction, Motion } from './screen.ts';
import { drawView, noticeOf, rowsForTunnels } from './watch-view.ts';
import type { View } from './watch-view.ts';
import { WatchedTunnels } from './watched.ts';

export interface WatchOptions {
  /** Lines of JSON instead of a view. */
  readonly json: boolean;
  readonly intervalMs: number;
}

/** Runs until a key or a signal ends it. */
export async function runWatch(
  names: readonly string[],
  { json, intervalMs }: WatchOptions,
): Promise<number> {
  if (!json) requireTerminal();
  const signal = abortOnSignals();
  const closed = new AbortController();
  process.stdout.on('error', () => closed.abort());
  const ended = AbortSignal.any([signal, closed.signal]);
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
    // A slow reader gets fewer lines.
    if (!process.stdout.writableNeedDrain) {
      process.stdout.write(`${JSON.stringify(toDocuments(found, names))}\n`);
    }
    await sleep(Math.max(0, next - performance.now()), undefined, { signal: ended }).catch(() => {});
  }
}

function requireTerminal(): void {
  if (process.stdout.isTTY && process.env['TERM'] !== 'dumb') return;
  throw new UsageError(
    '--watch needs a terminal; for programs, ttun show --watch --json prints lines of JSON',
  );
}

/** The live view. */
class Watch {
  readonly #screen = new Screen(process.stdout);
  readonly #keys = new Keys(process.stdin, (action) => this.#onKey(action));
  readonly #redraw = (): void => this.#draw();
  readonly #tunnels: WatchedTunnels;
  readonly #names: readonly string[];
  readonly #intervalMs: number;
  readonly #end = new AbortController();
  #isPaused = false;
  /** The latest view, which stays on the screen while paused. */
  #view: View | null = null;
  /** Index of the first tunnel on the screen. */
  #top = 0;

  constructor(names: readonly string[], namespace: number, intervalMs: number) {
    this.#tunnels = new WatchedTunnels(names, namespace);
    this.#names = names;
    this.#intervalMs = intervalMs;
  }

  /** Runs until a key or `ended` ends it, and restores the terminal. */
  async run(ended: AbortSignal): Promise<void> {
    ended.addEventListener('abort', () => this.#end.abort(), { once: true });
    if (ended.aborted) return;
    process.stdout.on('resize', this.#redraw);
    // While this process was stopped, a shell has written on the screen and may have changed its modes.
    process.on('SIGCONT', this.#takeTerminal);
    this.#takeTerminal();
    try {
      while (!this.#end.signal.aborted) {
        const next = performance.now() + this.#intervalMs;
        await this.#update();
        await this.#waitUntil(next);
      }
    } finally {
      process.off('SIGCONT', this.#takeTerminal);
      process.stdout.off('resize', this.#redraw);
      this.#restoreTerminal();
    }
  }

  async #update(): Promise<void> {
    const found = await survey(ANSWER_LIMIT_MS);
    const at = performance.now();
    // Histories are also updated while the view is paused.
    const tunnels = this.#tunnels.update(found, at);
    if (this.#isPaused) return;
    this.#view = {
      tunnels,
      placeholder: this.#placeholder(found),
      notice: noticeOf(found, tunnels),
      intervalMs: this.#intervalMs,
      isPaused: false,
      at,
      time: new Date().toTimeString().slice(0, 8),
    };
    this.#draw();
  }

  #placeholder({ silent: [silent] }: Survey): string {
    if (silent !== undefined) return `${silent.error.message}.`;
    return this.#names.length === 0
      ? 'No tunnel is running.'
      : `No tunnel ${this.#names.join(', ')} is running.`;
  }

  #draw(): void {
    if (this.#view === null) return;
    this.#top = Math.max(0, Math.min(this.#top, this.#lowestTop()));
    this.#screen.draw(drawView(this.#view, this.#top, this.#screen));
  }

  #lowestTop(): number {
    return (this.#view?.tunnels.length ?? 0) - rowsForTunnels(this.#screen.rows);
  }

  #onKey(action: KeyAction): void {
    if (action === 'quit') this.#end.abort();
    else if (action === 'suspend') this.#suspend();
    else if (action === 'redraw') this.#draw();
    else if (action === 'pause') this.#pause();
    else this.#move(action);
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

  /** Does what terminals do for Ctrl-Z: sends the signal to all processes of the job. */
  #suspend(): void {
    this.#restoreTerminal();
    process.kill(0, 'SIGTSTP');
    // The job was continued, or there is no shell that stops jobs.
    this.#takeTerminal();
  }

  readonly #takeTerminal = (): void => {
    this.#keys.begin();
    this.#screen.open();
    this.#draw();
  };

  #restoreTerminal(): void {
    this.#screen.close();
    this.#keys.end();
  }

  async #waitUntil(time: number): Promise<void> {
    const left = Math.max(0, time - performance.now());
    // Rejects when aborted, which the caller checks.
    await sleep(left, undefined, { signal: this.#end.signal }).catch(() => {});
  }
}

/** A process that does not answer must not delay the others. */
const ANSWER_LIMIT_MS = 1000;
