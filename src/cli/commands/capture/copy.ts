/** Copies captured packets from the tunnel's process to the output. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PcapngReader } from '../../../control/capture/pcapng-reader.ts';
import { FLUSH_LIMIT_MS } from '../../end.ts';
import type { Output } from './output.ts';

export class Copy {
  /** Packets that the output has taken. */
  captured = 0;
  readonly #reader = new PcapngReader();
  readonly #output: Output;
  readonly #signal: AbortSignal;
  #isStuck = false;

  /** @param signal is aborted when it is to end */
  constructor(output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  /** Packets that passed, and that the output could not take fast enough. */
  get lost(): number {
    return this.#reader.lost + (this.#isStuck ? this.#reader.captured - this.captured : 0);
  }

  /** Whether the tunnel's process told the figures at the end. */
  get isComplete(): boolean {
    return this.#reader.isComplete;
  }

  /** Resolves when all has come and the output has it; when that is stuck, the rest is only counted. */
  async run(chunks: AsyncIterable<Buffer>, snapLength: number): Promise<void> {
    await this.#take(this.#output.begin(snapLength));
    for await (const chunk of chunks) {
      const { packets, blocks } = this.#reader.read(chunk);
      if (!this.#isStuck) await this.#take(this.#output.packets(packets, blocks));
      if (!this.#isStuck) this.captured += packets.length;
    }
    if (!this.#isStuck) await this.#take(this.#output.close());
  }

  async #take(writing: Promise<void>): Promise<void> {
    const done = new AbortController();
    try {
      await Promise.race([writing, this.#becomeStuck(done.signal)]);
    } finally {
      done.abort();
    }
  }

  async #becomeStuck(done: AbortSignal): Promise<void> {
    try {
      if (!this.#signal.aborted) await once(this.#signal, 'abort', { signal: done });
      await sleep(FLUSH_LIMIT_MS, undefined, { signal: done });
      this.#isStuck = true;
    } catch {
      // It is done.
    }
  }
}
