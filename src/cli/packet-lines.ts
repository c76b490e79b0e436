/** Prints packets as they pass, one per line. */
import type { BindingPacket, BindingTap } from '../../binding.cjs';
import { describePacket } from '../decode/packet.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import { continueWithoutOutput, say, styleFor } from '../terminal.ts';
import type { Styler } from '../terminal.ts';
import { grouped } from './text.ts';

export type Share = 'some' | 'all';

/** Enough for the longest headers that are printed. */
const SNAP_LENGTH = 128;

/** How many packets are copied: few enough to cost nothing under bulk traffic, or as many as fit in the ring. */
const TAP_OPTIONS = {
  some: { snapLength: SNAP_LENGTH, capacity: 64, packetsPerSecond: 10, outbound: null },
  all: { snapLength: SNAP_LENGTH, capacity: 4096, packetsPerSecond: null, outbound: null },
} as const;

/** How often the number of omitted packets is reported, in ms. */
const REPORT_INTERVAL_MS = 1000;

/** Starts printing packets of a tunnel on standard output; returns what stops it. */
export function startPacketLines(tunnel: OpenTunnel, share: Share): () => void {
  const lines = new PacketLines(tunnel, share);
  return () => lines.stop();
}

class PacketLines {
  readonly #tap: BindingTap;
  readonly #share: Share;
  readonly #style = styleFor(process.stdout);
  #isStopped = false;
  #leftOut = 0;
  /** Whether packets passed since the last report. */
  #isActive = false;
  /** Runs while packets pass and a moment longer, as omitted packets cause no callback. */
  #reports: NodeJS.Timeout | undefined;

  constructor(tunnel: OpenTunnel, share: Share) {
    this.#share = share;
    continueWithoutOutput();
    process.stdout.on('error', (error: NodeJS.ErrnoException) => this.#onOutputFailed(error));
    process.stdout.on('drain', () => this.#take());
    // Deferred, as under load the next call would come before timers and signals run.
    this.#tap = tunnel.tap(TAP_OPTIONS[share], () => setImmediate(() => this.#take()));
  }

  /** Prints the remaining packets, and nothing after that. */
  stop(): void {
    if (this.#isStopped) return;
    this.#take();
    // Left over if the reader is too slow.
    const { packets, leftOut } = this.#tap.take();
    this.#leftOut += packets.length + leftOut;
    this.#sayLeftOut();
    this.#end();
  }

  #take(): void {
    // A slow reader costs no memory: the ring fills up, and further packets are counted.
    if (this.#isStopped || process.stdout.writableNeedDrain) return;
    const { packets, leftOut } = this.#tap.take();
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
        ? `${count} packets arrived too fast to be printed`
        : `${count} more packets (-v prints all)`,
    );
  }

  #onOutputFailed({ code }: NodeJS.ErrnoException): void {
    if (this.#isStopped) return;
    this.#end();
    const problem = code === 'EPIPE' ? 'was closed' : 'cannot be written';
    say(`standard output ${problem}; packets are no longer printed, the tunnel continues`);
  }

  #end(): void {
    this.#isStopped = true;
    clearInterval(this.#reports);
    this.#tap.end();
  }
}

/** `12:34:56.789012 Out IP …` and a line feed: local time, and the direction as seen by the host's network stack. */
export function formatPacketLine({ outbound, at, length, data }: BindingPacket, style: Styler): string {
  const direction = outbound ? style('cyan', 'Out') : style('green', 'In ');
  return `${formatTime(at)} ${direction} ${describePacket(data, length)}\n`;
}

/** @param at ms since the epoch, with a fraction */
function formatTime(at: number): string {
  const date = new Date(at);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => padded(part, 2))
    .join(':');
  return `${time}.${padded(Math.floor((at % 1000) * 1000), 6)}`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
