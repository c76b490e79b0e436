/** Prints packets as they pass, one a line. */
import type { BindingWatch } from '../../binding.cjs';
import type { OpenTunnel } from '../open-tunnel.ts';
import { formatPacketLine } from './packet-line.ts';
import { styleFor } from './style.ts';
import { say } from './talk.ts';
import { grouped } from './wording.ts';

export type Share = 'some' | 'all';

/** Enough for the longest headers that are described. */
const SNAP_LENGTH = 128;

/** How many packets are copied: so many that bulk traffic costs nothing, or all, as far as the ring has room for them. */
const WATCH = {
  some: { snapLength: SNAP_LENGTH, capacity: 64, packetsPerSecond: 10, outbound: null },
  all: { snapLength: SNAP_LENGTH, capacity: 4096, packetsPerSecond: null, outbound: null },
} as const;

/** How often it is said how many packets were left out, in ms. */
const REPORT_INTERVAL_MS = 1000;

/** Starts printing packets of a tunnel on standard output; returns what ends it. */
export function startPacketLines(tunnel: OpenTunnel, share: Share): () => void {
  const lines = new PacketLines(tunnel, share);
  return () => lines.stop();
}

class PacketLines {
  readonly #watch: BindingWatch;
  readonly #share: Share;
  readonly #style = styleFor(process.stdout);
  #isStopped = false;
  #leftOut = 0;
  /** Something passed since the last report. */
  #isActive = false;
  /** Runs while packets pass and a moment longer, as those that are left out wake nobody. */
  #reports: NodeJS.Timeout | undefined;

  constructor(tunnel: OpenTunnel, share: Share) {
    this.#share = share;
    process.stdout.on('error', () => this.#onReaderGone());
    process.stdout.on('drain', () => this.#take());
    // Not at once: under load the next call would follow before timers and signals get their turn.
    this.#watch = tunnel.watch(WATCH[share], () => setImmediate(() => this.#take()));
  }

  /** Prints what is still there, and nothing after that. */
  stop(): void {
    if (this.#isStopped) return;
    this.#take();
    // When the reader is too slow even now.
    const { packets, leftOut } = this.#watch.take();
    this.#leftOut += packets.length + leftOut;
    this.#sayLeftOut();
    this.#end();
  }

  #take(): void {
    // A slow reader costs no memory: the ring fills up, and what does not fit is counted.
    if (this.#isStopped || process.stdout.writableNeedDrain) return;
    const { packets, leftOut } = this.#watch.take();
    if (packets.length === 0 && leftOut === 0) return;
    this.#leftOut += leftOut;
    this.#isActive = true;
    this.#reports ??= setInterval(() => this.#onInterval(), REPORT_INTERVAL_MS);
    if (packets.length > 0)
      process.stdout.write(packets.map((packet) => formatPacketLine(packet, this.#style)).join(''));
  }

  #onInterval(): void {
    this.#take();
    this.#sayLeftOut();
    if (!this.#isActive) {
      clearInterval(this.#reports);
      this.#reports = undefined;
    }
    this.#isActive = false;
  }

  #sayLeftOut(): void {
    if (this.#leftOut === 0) return;
    const count = grouped(this.#leftOut);
    this.#leftOut = 0;
    say(
      this.#share === 'all'
        ? `${count} packets passed too fast to be printed`
        : `${count} more packets (-v prints all)`,
    );
  }

  #onReaderGone(): void {
    if (this.#isStopped) return;
    this.#end();
    say('nobody reads the packets any more: they are no longer printed, and the tunnel goes on');
  }

  #end(): void {
    this.#isStopped = true;
    clearInterval(this.#reports);
    this.#watch.end();
  }
}
