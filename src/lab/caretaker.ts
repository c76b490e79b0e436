import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { mark } from './namespaces.ts';

/** What the lab tells its caretaker about a namespace. `identity` is null while the namespace is being made. */
export type CaretakerMessage = { owned: string; identity: number | null } | { removed: string };

/**
 * A process that outlives the lab just long enough to remove what the lab could not remove itself, because it was killed
 * (SIGKILL, out of memory) or crashed. It reads a pipe that only the lab writes to, and sleeps until that ends.
 */
export class Caretaker {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor() {
    const program = fileURLToPath(new URL('./caretaker-process.js', import.meta.url));
    this.#child = spawn(process.execPath, [program, mark], {
      // Away from the lab's session, so that what ends the lab does not end its caretaker with it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without a caretaker the lab still works, and still removes everything itself unless it is killed.
    this.#child.stdin?.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      this.#child.on('exit', () => resolve());
      this.#child.on('error', () => resolve());
    });
  }

  tell(message: CaretakerMessage): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Lets it go; it ends at once when nothing is left in its care. */
  async dismiss(): Promise<void> {
    this.#child.stdin?.end();
    await this.#gone;
  }
}
