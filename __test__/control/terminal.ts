/** An interactive terminal: a pane of tmux. */
import { join } from 'node:path';
import { run } from '../../testbed/exec.ts';
import type { Command } from '../../testbed/exec.ts';
import { waitFor } from '../../testbed/wait.ts';

export class Terminal implements AsyncDisposable {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** @param folder for the socket of tmux */
  static async open(folder: string, columns: number, rows: number): Promise<Terminal> {
    opened += 1;
    const terminal = new Terminal(join(folder, `tmux${opened}`));
    const size = ['-x', `${columns}`, '-y', `${rows}`];
    // A shell with job control, and without the user's settings.
    await terminal.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, 'env', 'PS1=$ ', ...SHELL);
    await terminal.waitFor(/^\$/m);
    return terminal;
  }

  /** Types a command line into the shell. */
  async enter(command: Command): Promise<void> {
    await this.#tmux('send-keys', '-l', command.map((word) => `'${word}'`).join(' '));
    await this.press('Enter');
  }

  /** Keys by tmux's names: `q`, `Space`, `C-c`, `Escape`, `Down`. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
  }

  /** What is on the screen, without trailing spaces. */
  async screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p');
  }

  /** What is on the screen, with its colours. */
  async colours(): Promise<string> {
    return this.#tmux('capture-pane', '-p', '-e');
  }

  /** Waits until the screen matches, and returns it. */
  async waitFor(pattern: RegExp): Promise<string> {
    let last = '';
    const look = async (): Promise<boolean> => {
      last = await this.screen();
      return pattern.test(last);
    };
    await waitFor(`a screen like ${pattern}`, look).catch((error: unknown) => {
      throw new Error(`${String(error)}; it shows:\n${last}`);
    });
    return last;
  }

  /** Whether the cursor is visible and the alternate screen is off. */
  async isUsual(): Promise<boolean> {
    return (await this.#tmux('display', '-p', '#{alternate_on}#{cursor_flag}')) === '01\n';
  }

  /** The last process that the shell started and that still runs. */
  async program(): Promise<number> {
    const shell = await this.#tmux('display', '-p', '#{pane_pid}');
    const { stdout } = await run(['ps', '-o', 'pid=', '--ppid', shell.trim()]);
    return Number(stdout.trim().split('\n').at(-1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux('kill-server');
  }

  async #tmux(...args: string[]): Promise<string> {
    const { stdout } = await run(['tmux', '-u', '-S', this.#socket, ...args], {
      env: { LC_ALL: 'C.UTF-8', NO_COLOR: '', TMUX: '' },
    });
    return stdout;
  }
}

let opened = 0;

const SHELL = ['bash', '--norc', '--noprofile', '-i'];
