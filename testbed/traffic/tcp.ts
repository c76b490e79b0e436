/** TCP streams from one site to another, compared by their SHA-256 on both sides. */
import { Caller } from '../messages.ts';
import type { Site } from '../site.ts';
import type { TcpAgent } from './tcp-agent.ts';

export interface TcpOptions {
  readonly from: Site;
  readonly to: Site;
  /** Address of `to` at which it listens: an inner one, to go through the tunnel. */
  readonly address: string;
  /** Of each stream. */
  readonly bytes: number;
  /** Streams at the same time. Default 1. */
  readonly streams?: number;
  /** Default 60,000. */
  readonly timeoutMs?: number;
}

export interface TcpResult {
  /** SHA-256 of each stream, sorted: equal when all arrived as they were sent. */
  readonly sent: readonly string[];
  readonly received: readonly string[];
  readonly seconds: number;
}

/**
 * Bytes that all streams together may have on the way, so that however long a tunnel waits for a CPU, its receive buffer does not
 * overflow. ttun asks for 4 MiB; the kernel grants twice that, and charges up to 1.6 times their length for packets of 1,500 bytes.
 */
const MOST_IN_FLIGHT = 4 * 2 ** 20;

/** A transfer that goes on while the test does something else. */
export class TcpTransfer implements AsyncDisposable {
  /** Resolves when every stream has arrived to its end. */
  readonly done: Promise<TcpResult>;
  readonly #agents: readonly Caller<TcpAgent>[];
  readonly #receiver: Caller<TcpAgent>;

  private constructor(sender: Caller<TcpAgent>, receiver: Caller<TcpAgent>, done: Promise<TcpResult>) {
    this.#agents = [sender, receiver];
    this.#receiver = receiver;
    this.done = done;
    // Rejects for callers that await `done`; a test that abandoned the transfer is not affected.
    done.catch(() => {});
  }

  static async start(options: TcpOptions): Promise<TcpTransfer> {
    const { from, to, address, bytes, streams = 1, timeoutMs = 60_000 } = options;
    await limitWindows(to, Math.floor(MOST_IN_FLIGHT / streams));
    const [sender, receiver] = [startAgent(from), startAgent(to)];
    const port = await receiver.call('listen', address);
    const begin = performance.now();
    const transfer = async (): Promise<TcpResult> => {
      const sent = await sender.call('send', { address, port, streams, bytes }, timeoutMs);
      const seconds = (performance.now() - begin) / 1000;
      return { sent, received: await receiver.call('digests', undefined), seconds };
    };
    return new TcpTransfer(sender, receiver, transfer());
  }

  /** Bytes that have arrived, of all streams together. */
  received(): Promise<number> {
    return this.#receiver.call('received', undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.process[Symbol.asyncDispose]()));
  }
}

/** Sends random bytes and waits until all have arrived. */
export async function transferTcp(options: TcpOptions): Promise<TcpResult> {
  await using transfer = await TcpTransfer.start(options);
  return await transfer.done;
}

/** `bytes` is the receive buffer of each stream that is opened from now on, which limits its window (tcp(7), `tcp_rmem`). */
async function limitWindows(site: Site, bytes: number): Promise<void> {
  const [least, usual] = [4096, 131_072];
  await site.sysctl({ 'net.ipv4.tcp_rmem': `${least} ${Math.min(usual, bytes)} ${bytes}` });
}

function startAgent(site: Site): Caller<TcpAgent> {
  return new Caller(site.startScript(new URL('tcp-agent.ts', import.meta.url)));
}
