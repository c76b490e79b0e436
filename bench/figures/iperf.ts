/** iperf3, one server for all runs between two sites. */
import { readFileSync } from 'node:fs';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';

const LISTENING = 'Server listening';
/** For connecting and for the exchange of results, besides the seconds of the run itself. */
const MARGIN_MS = 15_000;

export interface TcpRun {
  readonly bitsPerSecond: number;
  readonly bytes: number;
  readonly retransmits: number;
}

/** Payload of a datagram that is a packet of 1,400 bytes with its IPv4 and UDP headers: it fits the MTU of every contender. */
export const LARGE_PAYLOAD = 1400 - 28;

export interface UdpRun {
  /** Datagrams. */
  readonly delivered: number;
  readonly deliveredPerSecond: number;
  /** Share of what was sent, 0 to 1. */
  readonly loss: number;
}

/** The fields used of what iperf3 prints with `--json`. */
interface Report {
  readonly end: {
    readonly sum_sent: { readonly retransmits?: number };
    readonly sum_received: {
      readonly bits_per_second: number;
      readonly bytes: number;
      readonly seconds: number;
      readonly packets?: number;
      readonly lost_packets?: number;
    };
  };
}

/** Bytes. */
const LARGE_BUFFER = 4 << 20;

/** The largest buffer that a program may have on this system, up to 4 MiB. */
export function largeBuffer(): number {
  return Math.min(coreLimit('rmem_max'), coreLimit('wmem_max'), LARGE_BUFFER);
}

function coreLimit(name: string): number {
  return Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8'));
}

export class Iperf {
  readonly #client: Site;
  readonly #server: BackgroundProcess;
  readonly #address: string;
  readonly #congestion: string;

  private constructor(client: Site, server: BackgroundProcess, address: string, congestion: string) {
    this.#client = client;
    this.#server = server;
    this.#address = address;
    this.#congestion = congestion;
  }

  /** `congestion`: the congestion control of TCP. */
  static async start(client: Site, serverSite: Site, address: string, congestion: string): Promise<Iperf> {
    const server = serverSite.start(['iperf3', '--server', '--bind', address, '--forceflush']);
    await server.waitForLine(LISTENING);
    return new Iperf(client, server, address, congestion);
  }

  /** `reverse`: from the server to the client. `omitSeconds`: these come first and do not count. */
  async tcp(options: {
    seconds: number;
    omitSeconds?: number;
    streams?: number;
    reverse?: boolean;
  }): Promise<TcpRun> {
    const { seconds, omitSeconds = 0, streams = 1, reverse = false } = options;
    const direction = reverse ? ['--reverse'] : [];
    const load = ['--parallel', `${streams}`, ...direction, '--congestion', this.#congestion];
    const { end } = await this.#run(seconds, [...load, '--omit', `${omitSeconds}`], omitSeconds);
    const { bits_per_second: bitsPerSecond, bytes } = end.sum_received;
    return { bitsPerSecond, bytes, retransmits: end.sum_sent.retransmits ?? 0 };
  }

  /** `bitsPerSecond` 0: as fast as the sender can. `buffer`: of the receiver and the sender, bytes; default: the system's. */
  async udp(options: {
    seconds: number;
    payload: number;
    bitsPerSecond: number;
    buffer?: number;
  }): Promise<UdpRun> {
    const { seconds, payload, bitsPerSecond, buffer } = options;
    const window = buffer === undefined ? [] : ['--window', `${buffer}`];
    const load = ['--udp', '--length', `${payload}`, '--bitrate', `${bitsPerSecond}`, ...window];
    const { end } = await this.#run(seconds, load);
    const { packets = 0, lost_packets: lost = 0, seconds: took } = end.sum_received;
    const delivered = packets - lost;
    return { delivered, deliveredPerSecond: delivered / took, loss: packets === 0 ? 1 : lost / packets };
  }

  async #run(seconds: number, load: readonly string[], omitSeconds = 0): Promise<Report> {
    const printed = this.#server.lines.length;
    const client = ['iperf3', '--client', this.#address, '--json', '--time', `${seconds}`, ...load];
    const { stdout } = await this.#client.run(client, {
      timeoutMs: (omitSeconds + seconds) * 1000 + MARGIN_MS,
    });
    // It serves one client after the other; a second one that connects too early is refused.
    await this.#server.waitForLine(LISTENING, { from: printed });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `Report` is the part of iperf3's output used here.
    return JSON.parse(stdout) as Report;
  }
}
