import { setTimeout as delay } from 'node:timers/promises';
import { inSite, ttun } from './command-line.ts';
import { LabFailure } from './failure.ts';
import type { TunnelFinding } from './findings.ts';
import type { Lab } from './lab.ts';
import { Program, describeEnding } from './program.ts';
import { peerOf, tunDevice, tunnelPort } from './sites.ts';
import type { Site } from './sites.ts';

/** ms for ttun to attach, and for it to end. */
const patience = 5000;

/** A ttun running in a site. It prints packets on stdout, and on stderr what it attached to and how it ended. */
export class TunnelProcess {
  readonly site: Site;
  readonly #lab: Lab;
  readonly #program: Program;
  readonly #shown: string;
  /** What it said so far about itself. */
  #talk: string[] = [];
  #packetsToShow = 0;
  #toldToEnd = false;

  constructor(lab: Lab, site: Site) {
    const port = String(tunnelPort);
    const { argv, shown } = inSite(
      site,
      ttun(tunDevice, site.cableAddress, port, peerOf(site).cableAddress, port),
    );
    this.site = site;
    this.#lab = lab;
    this.#shown = shown;
    lab.story.command(`${shown} &`);
    this.#program = new Program(argv, (line, stream) => this.#onLine(line, stream));
    void this.#reportEarlyEnd();
  }

  /** Waits until it says that it is attached. */
  async attached(): Promise<void> {
    const limit = AbortSignal.timeout(patience);
    while (this.#talk.length === 0) {
      this.#lab.signal.throwIfAborted();
      if (limit.aborted)
        throw new LabFailure(`ttun in ${this.site.name} did not start within ${patience / 1000} s`);
      await delay(10);
    }
    this.#lab.story.output(this.#talk);
    this.#lab.story.record({ command: this.#shown, exitCode: null, output: [...this.#talk] });
  }

  /** Shows the next packets that it prints, at most `count`. */
  showPackets(count: number): void {
    this.#packetsToShow = count;
  }

  /** Whether it ended by itself, which the lab has heard of then. */
  get endedEarly(): boolean {
    return !this.#toldToEnd && !this.#program.running;
  }

  /** Ends it as Ctrl-C does. */
  async end(): Promise<TunnelFinding> {
    const { name } = this.site;
    this.#toldToEnd = true;
    this.#talk = [];
    this.#lab.story.command(`kill -INT ${this.#program.pid}`, `Ctrl-C to ttun in ${name}`);
    const { exitCode, signal } = await this.#program.stop('SIGINT', patience);
    return { site: name, exitCode, signal, summary: this.#talk };
  }

  async #reportEarlyEnd(): Promise<void> {
    const ending = await this.#program.ended;
    if (this.#toldToEnd) return;
    const lastWords = ending.signal === null ? `: ${this.#talk.at(-1) ?? 'it said nothing'}` : '';
    this.#lab.fail(
      new LabFailure(
        `ttun in ${this.site.name} ended before it was told to (${describeEnding(ending)})${lastWords}`,
      ),
    );
  }

  #onLine(line: string, stream: 'stdout' | 'stderr'): void {
    if (stream === 'stderr') this.#talk.push(line);
    else if (this.#packetsToShow > 0) {
      this.#packetsToShow -= 1;
      this.#lab.story.output([`${this.site.name} │ ${line}`]);
    }
  }
}
