/** Functions that Node lacks, from `ttun-probe` (crates/ttun-testkit): raw packets into and out of a device, segmented UDP sends, and Unix datagrams. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackgroundProcess } from './exec.ts';
import type { Unfinished } from './packet/split.ts';
import { split } from './packet/split.ts';
import type { Site } from './site.ts';
import { waitFor } from './wait.ts';

/** Has a device send packets exactly as they are: for a TUN device, the attached program reads them. */
export async function inject(site: Site, device: string, packets: readonly Uint8Array[]): Promise<void> {
  await site.run([probe(), 'inject', device], {
    input: packets.map((packet) => `${hex(packet)}\n`).join(''),
  });
}

/** One UDP send: a datagram, or a run that the kernel cuts into datagrams of `segmentSize` bytes. */
export interface UdpSend {
  readonly bytes: Uint8Array;
  readonly segmentSize?: number;
}

/**
 * Sends datagrams with any content from any local address and port, each `10.0.1.1:9000` or `[fd00:1::1]:9000`; over IPv6 also
 * without checksums.
 */
export async function sendDatagrams(
  site: Site,
  local: string,
  remote: string,
  sends: readonly UdpSend[],
  { checksums = true }: { readonly checksums?: boolean } = {},
): Promise<void> {
  const lines = sends.map(({ bytes, segmentSize }) => {
    return `${segmentSize === undefined ? '' : `${segmentSize} `}${hex(bytes)}\n`;
  });
  await site.run([probe(), checksums ? 'send' : 'send-unchecked', local, remote], { input: lines.join('') });
}

/** Leaves virtio-net headers of that many bytes, and all offloads, set on a TUN device to which no program is attached. */
export async function leaveDevice(site: Site, device: string, virtioHeaderLength: number): Promise<void> {
  await site.run([probe(), 'leave-device', device, `${virtioHeaderLength}`]);
}

/** Another program that stays attached to a TUN device until it is ended. */
export async function holdDevice(site: Site, device: string): Promise<BackgroundProcess> {
  return startProbe(site, 'hold-device', device);
}

/** Resolves once it says that it is ready. */
async function startProbe(site: Site, ...args: readonly string[]): Promise<BackgroundProcess> {
  const started = site.start([probe(), ...args]);
  await started.waitForLine('ready');
  return started;
}

/** A probe in the background, which ends when it is disposed of. */
class RunningProbe implements AsyncDisposable {
  protected readonly process: BackgroundProcess;

  protected constructor(started: BackgroundProcess) {
    this.process = started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

export interface CapturedPacket extends Unfinished {
  /** `out`: the kernel sent it by the device; `in`: it came in there, from the program behind a TUN device. */
  readonly direction: 'in' | 'out';
}

/** Everything that passes a device from `start` on, in order. */
export class Capture extends RunningProbe {
  readonly #packets: CapturedPacket[] = [];
  #linesRead = 0;

  static async start(site: Site, device: string): Promise<Capture> {
    return new Capture(await startProbe(site, 'capture', device));
  }

  /** What has passed so far. */
  packets(direction: 'in' | 'out'): readonly CapturedPacket[] {
    for (const line of this.process.lines.slice(this.#linesRead)) {
      this.#linesRead += 1;
      if (line !== 'ready') this.#packets.push(parse(line));
    }
    return this.#packets.filter((packet) => packet.direction === direction);
  }

  /** Waits until so many have passed, and resolves to all of them. */
  async first(direction: 'in' | 'out', count: number): Promise<readonly CapturedPacket[]> {
    return waitFor(`${count} captured packets`, () => {
      const packets = this.packets(direction);
      return packets.length >= count && packets;
    });
  }

  /** Waits until `last` has passed, alone or merged with others, and resolves to all up to then as single packets. */
  async until(direction: 'in' | 'out', last: Uint8Array): Promise<readonly Buffer[]> {
    const single: Buffer[] = [];
    let seen = 0;
    return waitFor('the last packet in the capture', () => {
      for (const packet of this.packets(direction).slice(seen)) {
        single.push(...split(packet));
        seen += 1;
      }
      return single.some((packet) => packet.equals(last)) && single;
    });
  }
}

/** The UDP datagrams that arrive at an address, in order. */
export class Receiver extends RunningProbe {
  static async start(site: Site, local: string): Promise<Receiver> {
    return new Receiver(await startProbe(site, 'receive', local));
  }

  /** Resolves to the payloads when there are `count` of them. */
  async first(count: number): Promise<readonly Buffer[]> {
    return waitFor(`${count} datagrams`, () => {
      const lines = this.process.lines.slice(1);
      return lines.length >= count && lines.map((line) => Buffer.from(line.split(' ')[1] ?? '', 'hex'));
    });
  }
}

/** A long path: forwards datagrams between two peers, each after a delay. */
export class Relay extends RunningProbe {
  /** @param sides the relay's address on each side, and the peer there */
  static async start(
    site: Site,
    sides: readonly [local: string, remote: string][],
    delayMs: number,
  ): Promise<Relay> {
    return new Relay(await startProbe(site, 'relay', ...sides.flat(), `${delayMs}`));
  }

  /** From now on all datagrams are lost, or none. */
  async lose(all: boolean): Promise<void> {
    const count = this.process.lines.length;
    this.process.child.stdin?.write(all ? 'lose\n' : 'pass\n');
    await waitFor('the relay to answer', () => this.process.lines.length > count);
  }
}

/** A service manager's end of sd_notify(3): the messages of a program, in order. */
export class NotifySocket extends RunningProbe {
  /** @param address a path, or a name in the abstract namespace after `@` */
  static async start(site: Site, address: string): Promise<NotifySocket> {
    return new NotifySocket(await startProbe(site, 'notify-socket', address));
  }

  /** The messages so far. */
  get messages(): readonly NotifyMessage[] {
    return this.process.lines.slice(1).map((line) => {
      const [, usec, text = ''] = /^(\d+) (.*)$/.exec(line) ?? [];
      return { receivedUsec: Number(usec), lines: text.split('|') };
    });
  }

  /** Resolves to the first message from the `from`th on that has this line. */
  async message(line: RegExp | string, from = 0): Promise<NotifyMessage> {
    const matches = (candidate: string): boolean =>
      typeof line === 'string' ? candidate === line : line.test(candidate);
    return waitFor(`a message with ${line}`, () =>
      this.messages.slice(from).find(({ lines }) => lines.some(matches)),
    );
  }
}

export interface NotifyMessage {
  /** When it came, in µs of CLOCK_MONOTONIC. */
  readonly receivedUsec: number;
  /** Its assignments: `READY=1`. */
  readonly lines: readonly string[];
}

function parse(line: string): CapturedPacket {
  const fields = /^(in|out) [\d.]+ (\d+) (\d+) (\d+|-) (\d+|-) ([\da-f]*)$/.exec(line);
  if (fields === null) throw new Error(`the capture printed: ${line}`);
  const [, direction, gsoType, gsoSize, start, offset, bytes = ''] = fields;
  return {
    direction: direction === 'in' ? 'in' : 'out',
    gsoType: Number(gsoType),
    gsoSize: Number(gsoSize),
    checksum: start === '-' ? null : { start: Number(start), offset: Number(offset) },
    bytes: Buffer.from(bytes, 'hex'),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Where cargo builds it. */
function probe(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const path = resolve(root, process.env['CARGO_TARGET_DIR'] ?? 'target', 'debug', 'ttun-probe');
  if (!existsSync(path)) throw new Error(`there is no ${path}; to build it: cargo build -p ttun-testkit`);
  return path;
}
