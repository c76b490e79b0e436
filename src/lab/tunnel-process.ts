/** A ttun process of the lab. */
import { setTimeout as delay } from 'node:timers/promises';
import { describeEnding, inSite, Program, ttun } from './commands.ts';
import type { CommandLine } from './commands.ts';
import { peerOf, sites, tunDevice, tunnelPort } from './sites.ts';
import type { Site } from './sites.ts';
import { LabFailure } from './transcript.ts';
import type { Transcript } from './transcript.ts';

/** How a ttun process ended. */
export interface TunnelFinding {
  site: string;
  exitCode: number | null;
  signal: string | null;
  /** Its closing summary, line by line. */
  summary: string[];
  /** With `--json`: its counters at the end, as `Tunnel.stats()` gives them. */
  stats: object | null;
}

/** The parts of the lab that a ttun process uses. */
interface Context {
  readonly json: boolean;
  readonly transcript: Transcript;
  readonly signal: AbortSignal;
  readonly fail: (failure: LabFailure) => void;
}

/** A ttun running in a site. It prints packets, or its counters with `--json`, on stdout, and messages on stderr. */
export class TunnelProcess {
  readonly site: Site;
  readonly #lab: Context;
  readonly #commandLine: CommandLine;
  readonly #program: Program;
  /** Its messages so far. */
  #messages: string[] = [];
  #lastOutput = '';
  #onPacket: (line: string) => void = ignore;
  #state: 'starting' | 'attached' | 'ending' = 'starting';

  constructor(lab: Context, site: Site) {
    this.site = site;
    this.#lab = lab;
    this.#commandLine = ttunIn(site, lab.json);
    lab.transcript.command(`${this.#commandLine.shown} &`);
    this.#program = new Program(this.#commandLine.argv, (line, stream) => this.#onLine(line, stream));
    void this.#reportEarlyExit();
  }

  /** Waits until it reports that it is attached. */
  async attached(): Promise<void> {
    const limit = AbortSignal.timeout(LIMIT);
    while (this.#messages.length === 0) {
      this.#lab.signal.throwIfAborted();
      if (limit.aborted) {
        throw new LabFailure(`ttun in ${this.site.name} did not start within ${LIMIT / 1000} s`);
      }
      await delay(10);
    }
    this.#state = 'attached';
    this.#lab.transcript.record({
      command: this.#commandLine.shown,
      exitCode: null,
      output: [...this.#messages],
    });
  }

  /**
   * Collects the packets between the two sites that it prints from now on, at most `count`; returns a function that waits for them.
   * Each line begins with the time.
   */
  collectPackets(count: number): () => Promise<string[]> {
    const lines: string[] = [];
    this.#onPacket = (line) => lines.push(line);
    const limit = AbortSignal.timeout(PACKET_LIMIT);
    return async () => {
      while (lines.length < count && !limit.aborted) await delay(5);
      this.#onPacket = ignore;
      return lines.slice(0, count);
    };
  }

  /** Whether it exited before the lab ended it. */
  get exitedEarly(): boolean {
    return this.#state !== 'ending' && !this.#program.running;
  }

  /** Ends it as Ctrl-C does. Null when it was not attached yet. */
  async end(): Promise<TunnelFinding | null> {
    const wasAttached = this.#state === 'attached';
    this.#state = 'ending';
    this.#messages = [];
    this.#lab.transcript.command(`kill -INT ${this.#program.pid}`, `Ctrl-C to ttun in ${this.site.name}`);
    const { exitCode, signal } = await this.#program.stop('SIGINT', LIMIT);
    if (!wasAttached) return null;
    const stats = this.#lab.json ? statsIn(this.#lastOutput) : null;
    return { site: this.site.name, exitCode, signal, summary: this.#messages, stats };
  }

  async #reportEarlyExit(): Promise<void> {
    const ending = await this.#program.ended;
    if (this.#state === 'ending') return;
    const message = ending.signal === null ? `: ${this.#messages.at(-1) ?? 'no message'}` : '';
    this.#lab.fail(
      new LabFailure(`ttun in ${this.site.name} exited unexpectedly (${describeEnding(ending)})${message}`),
    );
  }

  #onLine(line: string, stream: 'stdout' | 'stderr'): void {
    if (stream === 'stderr') this.#onMessage(line);
    else {
      this.#lastOutput = line;
      // IPv6 sends its own packets when a device comes up.
      if (sites.every(({ tunnelAddress }) => line.includes(tunnelAddress))) this.#onPacket(line);
    }
  }

  #onMessage(line: string): void {
    if (OMITTED_PACKETS.test(line)) return;
    const message = line.replace(/^ttun: /, '');
    this.#messages.push(message);
    this.#lab.transcript.output([message]);
  }
}

function ignore(): void {}

function ttunIn(site: Site, json: boolean): CommandLine {
  const port = String(tunnelPort);
  const addresses = [site.cableAddress, port, peerOf(site).cableAddress, port];
  return inSite(site, ttun(...(json ? ['--json'] : []), tunDevice, ...addresses));
}

/** The counters in the last event that ttun printed. */
function statsIn(event: string): object | null {
  try {
    const { stats } = Object(JSON.parse(event));
    return stats instanceof Object ? stats : null;
  } catch {
    return null;
  }
}

/** ms for ttun to attach, and to exit. */
const LIMIT = 5000;

/** ms for a packet that passes to be printed. */
const PACKET_LIMIT = 2000;

/** The line on stderr about packets that were not printed. */
const OMITTED_PACKETS = /more packets/;
