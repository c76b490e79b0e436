/** Sends the packets of a tunnel to a client, as fast as that reads them. */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BindingPacket, BindingWatch } from '../../binding.cjs';
import type { OpenTunnel } from '../open-tunnel.ts';
import { send } from './connection.ts';
import { beginPcapng, packetBlocks, statisticsBlock } from './pcapng.ts';
import { ControlError } from './protocol.ts';

/** Packets are copied from when it is made until it is streamed or ended. */
export class Capture {
  readonly #tunnel: OpenTunnel;
  readonly #request: CaptureRequest;
  readonly #watch: BindingWatch;
  readonly #bell = new Bell();

  /** @throws TtunError when too many capture from this tunnel already */
  constructor(tunnel: OpenTunnel, request: CaptureRequest) {
    this.#tunnel = tunnel;
    this.#request = request;
    this.#watch = tunnel.watch(
      {
        snapLength: request.snapLength,
        capacity: MOST_PACKETS,
        packetsPerSecond: null,
        outbound: request.direction === null ? null : request.direction === 'out',
      },
      () => this.#bell.ring(),
    );
  }

  /**
   * Streams until the wanted number of packets is reached, the tunnel ends, or `stop` settles. Packets are taken from the
   * tunnel's ring only when the client has read those before; what the ring has no room for meanwhile is counted.
   */
  async stream(socket: Socket, application: string, stop: Promise<unknown>): Promise<void> {
    const { snapLength, count } = this.#request;
    let [captured, lost, isLast] = [0, 0, false];
    const onEnd = (): void => {
      isLast = true;
      this.#bell.ring();
    };
    void stop.then(onEnd, onEnd);
    void this.#tunnel.closed.then(onEnd);
    try {
      await send(socket, beginPcapng(application, this.#tunnel.stats().device.name, snapLength));
      for (;;) {
        // What is in the ring when it is to end still belongs to it.
        const wasLast = isLast;
        const { packets, leftOut } = this.#watch.take();
        const wanted = packets.slice(0, (count ?? Infinity) - captured);
        captured += wanted.length;
        lost += leftOut;
        const isDone = wasLast || captured === count;
        await send(socket, blocksFor(wanted, leftOut > 0 || isDone ? [captured, lost] : null));
        if (isDone) return;
        // Under load the next call would follow before timers and signals get their turn.
        await nextTurn();
        await this.#bell.heard();
      }
    } finally {
      this.end();
    }
  }

  end(): void {
    this.#watch.end();
  }
}

/** The ring is bounded in bytes, too. */
const MOST_PACKETS = 16_384;

function blocksFor(
  packets: readonly BindingPacket[],
  figures: readonly [captured: number, lost: number] | null,
): Buffer {
  const blocks = packetBlocks(packets);
  return figures === null ? blocks : Buffer.concat([blocks, statisticsBlock(...figures)]);
}

/** Rings for whoever waits, or who comes to wait later. */
class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  async heard(): Promise<void> {
    if (!this.#hasRung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#hasRung = false;
    this.#wake = undefined;
  }
}

// What is to be captured.

export interface CaptureRequest {
  readonly tunnel: string;
  /** Bytes of each packet. */
  readonly snapLength: number;
  /** Packets after which it ends; `null` for no end. */
  readonly count: number | null;
  /** Only packets from the peer (`in`) or from the device (`out`); `null` for both. */
  readonly direction: 'in' | 'out' | null;
}

/** The largest IP packet that there can be. */
export const WHOLE_PACKET = 65_535;

/** @throws ControlError that names what is wrong */
export function parseCaptureRequest(parameters: Readonly<Record<string, unknown>>): CaptureRequest {
  const { tunnel, snapLength = WHOLE_PACKET, count = null, direction = null, ...others } = parameters;
  const [other] = Object.keys(others);
  if (other !== undefined) throw wrong(`capture does not take ${JSON.stringify(other)}`);
  if (typeof tunnel !== 'string') throw wrong('"tunnel" is not the name of a tunnel');
  if (!isCount(snapLength) || snapLength > WHOLE_PACKET) {
    throw wrong(`"snapLength" is not a number of bytes from 1 to ${WHOLE_PACKET}`);
  }
  if (count !== null && !isCount(count)) throw wrong('"count" is not a number of packets from 1');
  if (direction !== null && direction !== 'in' && direction !== 'out') {
    throw wrong('"direction" is neither "in" nor "out"');
  }
  return { tunnel, snapLength, count, direction };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

function wrong(message: string): ControlError {
  return new ControlError('invalid-request', message);
}
