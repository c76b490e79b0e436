/** A directory for the sockets of one test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

export class RuntimeDirectory implements AsyncDisposable {
  /** Does not exist until a process creates it. */
  readonly path: string;
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
    this.path = join(parent, 'ttun');
  }

  /** From now on this process and its children use it for their sockets. */
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
