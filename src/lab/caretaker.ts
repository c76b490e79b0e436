import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { mark } from './marked.ts';

/** What the lab tells its caretaker about a namespace. `identity` is null while the namespace is being made. */
export type CaretakerMessage = { owned: string; identity: number | null } | { removed: string };

/**
 * A process that outlives the lab just long enough to remove what the lab could not remove itself, because it was killed
 * (SIGKILL, out of memory) or crashed. It sleeps until its channel to the lab closes, and costs nothing until then.
 */
export class Caretaker {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./caretaker-process.js', import.meta.url)), [mark], {
      detached: true,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#gone = new Promise((resolve) => {
      this.#child.on('exit', () => resolve());
      // Without a caretaker the lab still works, and still removes everything itself unless it is killed.
      this.#child.on('error', () => resolve());
    });
  }

  tell(message: CaretakerMessage): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Lets it go; it ends at once when nothing is left in its care. */
  async dismiss(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone;
  }
}
