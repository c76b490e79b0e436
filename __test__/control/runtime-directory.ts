/** A directory for the sockets of a test alone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

export class RuntimeDirectory implements AsyncDisposable {
  /** Not there until a process makes it. */
  readonly path: string;
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
    this.path = join(parent, 'ttun');
  }

  /** This process and those that it starts from now on have their sockets in there. */
  static async use(): Promise<RuntimeDirectory> {
    const directory = new RuntimeDirectory(await mkdtemp('/tmp/control-test-'));
    process.env['RUNTIME_DIRECTORY'] = directory.path;
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    delete process.env['RUNTIME_DIRECTORY'];
    await rm(this.#parent, { recursive: true, force: true });
  }
}
