/** The live view of `ttun show --watch`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { survey } from '../../../../control/client.ts';
import { Keys } from './keys.ts';
import type { Motion, Wish } from './keys.ts';
import { Screen } from './screen.ts';
import { drawView, rowsForTunnels } from './view.ts';
import type { View } from './view.ts';
import { WatchedTunnels } from './watched.ts';

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
