/** Streams copies of a tunnel's packets to a client of the control socket. */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BindingTap } from '../../binding.cjs';
import type { OpenTunnel } from '../open-tunnel.ts';
import { beginPcapng, packetBlocks, statisticsBlock } from './pcapng.ts';
import { send } from './protocol.ts';
import type { CaptureRequest } from './protocol.ts';

/** Packets are copied from the construction until `stream` settles or `end` is called. */
export class Capture {
  readonly #tunnel: OpenTunnel;
  readonly #request: CaptureRequest;
  readonly #tap: BindingTap;
  readonly #wakeUp = new Signal();

  /** @throws TtunError if too many clients are already capturing from this tunnel */
  constructor(tunnel: OpenTunnel, request: CaptureRequest) {
    this.#tunnel = tunnel;
    this.#request = request;
    this.#tap = tunnel.tap(
      {
        snapLength: request.snapLength,
        capacity: RING_PACKETS,
        packetsPerSecond: null,
        outbound: request.direction === null ? null : request.direction === 'out',
      },
      () => this.#wakeUp.set(),
    );
  }

  /**
   * Streams until the requested number of packets is reached, the tunnel ends, or `stop` settles. Packets are taken from the ring
   * only when the client has read the previous ones; packets that do not fit in the ring meanwhile are counted.
   */
  async stream(socket: Socket, application: string, stop: Promise<unknown>): Promise<void> {
    const { snapLength, count } = this.#request;
    let [captured, lost, isLast] = [0, 0, false];
    const onEnd = (): void => {
      isLast = true;
      this.#wakeUp.set();
    };
    void stop.then(onEnd, onEnd);
    void this.#tunnel.closed.then(onEnd);
    try {
      await send(socket, beginPcapng(application, this.#tunnel.stats().device.name, snapLength));
      for (;;) {
        // Packets in the ring at the end are still sent.
        const wasLast = isLast;
        const { packets, leftOut } = this.#tap.take();
        const wanted = packets.slice(0, (count ?? Infinity) - captured);
        captured += wanted.length;
        lost += leftOut;
        const isDone = wasLast || captured === count;
        const blocks = packetBlocks(wanted);
        const withStatistics = leftOut > 0 || isDone;
        await send(
          socket,
          withStatistics ? Buffer.concat([blocks, statisticsBlock(captured, lost)]) : blocks,
        );
        if (isDone) return;
        // Under load the next iteration would start before timers and signals are handled.
        await nextTurn();
        await this.#wakeUp.wait();
      }
    } finally {
      this.end();
    }
  }

  end(): void {
    this.#tap.end();
  }
}

/** The ring is bounded in bytes, too. */
const RING_PACKETS = 16_384;

/** Wakes the one waiter, or the next one if there is none yet. */
class Signal {
  #isSet = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isSet = false;
    this.#wake = undefined;
  }
}
