/** Sends the packets of a tunnel to a client, as fast as that reads them. */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BindingPacket } from '../../../binding.cjs';
import type { OpenTunnel } from '../../open-tunnel.ts';
import { send } from '../send.ts';
import { beginPcapng, packetBlocks, statisticsBlock } from './pcapng.ts';
import type { CaptureRequest } from './request.ts';

/**
 * Streams until the wanted number of packets is reached, the tunnel ends, or `stop` settles. Packets are taken from the tunnel's
 * ring only when the client has read those before; what the ring has no room for meanwhile is counted.
 */
export async function streamCapture(
  socket: Socket,
  tunnel: OpenTunnel,
  { snapLength, count, direction }: CaptureRequest,
  { application, stop }: { readonly application: string; readonly stop: Promise<unknown> },
): Promise<void> {
  const bell = new Bell();
  const watch = tunnel.watch(
    {
      snapLength,
      capacity: capacityFor(snapLength),
      packetsPerSecond: null,
      outbound: direction === null ? null : direction === 'out',
    },
    () => bell.ring(),
  );
  let [captured, lost, isLast] = [0, 0, false];
  const onEnd = (): void => {
    isLast = true;
    bell.ring();
  };
  void stop.then(onEnd, onEnd);
  void tunnel.closed.then(onEnd);
  try {
    await send(socket, beginPcapng(application, tunnel.stats().device.name, snapLength));
    for (;;) {
      // What is in the ring when it is to end still belongs to it.
      const wasLast = isLast;
      const { packets, leftOut } = watch.take();
      const wanted = packets.slice(0, (count ?? Infinity) - captured);
      captured += wanted.length;
      lost += leftOut;
      const isDone = wasLast || captured === count;
      await send(socket, blocksFor(wanted, leftOut > 0 || isDone ? [captured, lost] : null));
      if (isDone) return;
      // Under load the next call would follow before timers and signals get their turn.
      await nextTurn();
      await bell.heard();
    }
  } finally {
    watch.end();
  }
}

function blocksFor(
  packets: readonly BindingPacket[],
  figures: readonly [captured: number, lost: number] | null,
): Buffer {
  const blocks = packetBlocks(packets);
  return figures === null ? blocks : Buffer.concat([blocks, statisticsBlock(...figures)]);
}

/** What a client may make the ring hold, in bytes. */
const RING_BYTES = 32 * 1024 * 1024;
const MOST_PACKETS = 16_384;

function capacityFor(snapLength: number): number {
  return Math.min(MOST_PACKETS, Math.floor(RING_BYTES / snapLength));
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
