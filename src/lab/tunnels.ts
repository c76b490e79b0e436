import { setTimeout as delay } from 'node:timers/promises';
import { inSite, ttun } from './commands.ts';
import type { CommandLine } from './commands.ts';
import { LabFailure } from './lab.ts';
import type { Lab } from './lab.ts';
import { describeEnding, Program } from './program.ts';
import { peerOf, sites, tunDevice, tunnelPort } from './sites.ts';
import type { Site } from './sites.ts';
import type { TunnelFinding } from './story.ts';

/** Starts a ttun in each site, in the form that users type. */
export async function startTunnels(lab: Lab): Promise<void> {
  lab.story.step(
    'ttun in each site',
    'Each binds a UDP socket to its end of the cable and sends to the other end.',
  );
  for (const site of sites) {
    const tunnel = new TunnelProcess(lab, site);
    lab.tunnels.push(tunnel);
    await tunnel.attached();
  }
}

/** Ends every ttun that runs, and shows what it says it carried. */
export async function endTunnels({ story, tunnels, findings }: Lab): Promise<void> {
  const running = tunnels.splice(0).filter((tunnel) => !tunnel.endedEarly);
  if (running.length === 0) return;
  story.step('Ctrl-C to each ttun', 'It lets go of the device, which stays, and says what it carried.');
  for (const tunnel of running) {
    const finding = await tunnel.end();
    if (finding) findings.tunnels.push(finding);
    if (finding?.summary.some((line) => line.includes('ECONNREFUSED'))) {
      story.note('(refused was what it sent before the other ttun was there)');
    }
  }
  const unclean = findings.tunnels.filter(({ exitCode, summary }) => exitCode !== 0 || summary.length === 0);
  story.expect(unclean.length === 0, 'ended in good order', unclean.map(describeUnclean).join('; '));
}

function describeUnclean({ site, exitCode, signal, summary }: TunnelFinding): string {
  const how = exitCode === 0 ? 'without a closing summary' : `with ${signal ?? `exit code ${exitCode}`}`;
  return `ttun in ${site} ended ${how}${summary.length > 0 ? `: ${summary.at(-1)}` : ''}`;
}

/** ms for ttun to attach, and for it to end. */
const patience = 5000;

/** ms within which a packet that passes is printed, even if ttun is slow to print. */
const packetPatience = 2000;

/** How to tell packets that were left out from talk about the tunnel itself. */
const aboutLeftOut = /more packets/;

/**
 * A ttun running in a site. It prints packets on stdout, or with `--json` its counters, and on stderr what it attached to and how it
 * ended.
 */
export class TunnelProcess {
  readonly site: Site;
  readonly #lab: Lab;
  readonly #commandLine: CommandLine;
  readonly #program: Program;
  /** What it said so far about itself. */
  #talk: string[] = [];
  #lastOutput = '';
  #onPacket: (line: string) => void = ignore;
  #state: 'starting' | 'attached' | 'told-to-end' = 'starting';

  constructor(lab: Lab, site: Site) {
    this.site = site;
    this.#lab = lab;
    this.#commandLine = commandLineFor(site, lab.json);
    lab.story.command(`${this.#commandLine.shown} &`);
    this.#program = new Program(this.#commandLine.argv, (line, stream) => this.#onLine(line, stream));
    void this.#reportEarlyEnd();
  }

  /** Waits until it says that it is attached. */
  async attached(): Promise<void> {
    const limit = AbortSignal.timeout(patience);
    while (this.#talk.length === 0) {
      this.#lab.signal.throwIfAborted();
      if (limit.aborted) {
        throw new LabFailure(`ttun in ${this.site.name} did not start within ${patience / 1000} s`);
      }
      await delay(10);
    }
    this.#state = 'attached';
    this.#lab.story.record({ command: this.#commandLine.shown, exitCode: null, output: [...this.#talk] });
  }

  /**
   * Notes the packets between the two sites that it prints from now on, at most `count`; returns what waits for them.
   * Each line begins with the time.
   */
  notePackets(count: number): () => Promise<string[]> {
    const lines: string[] = [];
    this.#onPacket = (line) => lines.push(line);
    const limit = AbortSignal.timeout(packetPatience);
    return async () => {
      while (lines.length < count && !limit.aborted) await delay(5);
      this.#onPacket = ignore;
      return lines.slice(0, count);
    };
  }

  /** Whether it ended by itself, which the lab has heard of then. */
  get endedEarly(): boolean {
    return this.#state !== 'told-to-end' && !this.#program.running;
  }

  /** Ends it as Ctrl-C does. Null when it had not got so far as to have anything to tell. */
  async end(): Promise<TunnelFinding | null> {
    const wasAttached = this.#state === 'attached';
    this.#state = 'told-to-end';
    this.#talk = [];
    this.#lab.story.command(`kill -INT ${this.#program.pid}`, `Ctrl-C to ttun in ${this.site.name}`);
    const { exitCode, signal } = await this.#program.stop('SIGINT', patience);
    if (!wasAttached) return null;
    const stats = this.#lab.json ? statsIn(this.#lastOutput) : null;
    return { site: this.site.name, exitCode, signal, summary: this.#talk, stats };
  }

  async #reportEarlyEnd(): Promise<void> {
    const ending = await this.#program.ended;
    if (this.#state === 'told-to-end') return;
    const lastWords = ending.signal === null ? `: ${this.#talk.at(-1) ?? 'it said nothing'}` : '';
    this.#lab.fail(
      new LabFailure(
        `ttun in ${this.site.name} ended before it was told to (${describeEnding(ending)})${lastWords}`,
      ),
    );
  }

  #onLine(line: string, stream: 'stdout' | 'stderr'): void {
    if (stream === 'stderr') this.#onTalk(line);
    else {
      this.#lastOutput = line;
      // IPv6 has things to say of its own when a device comes up.
      if (sites.every(({ tunnelAddress }) => line.includes(tunnelAddress))) this.#onPacket(line);
    }
  }

  #onTalk(line: string): void {
    if (aboutLeftOut.test(line)) return;
    const said = line.replace(/^ttun: /, '');
    this.#talk.push(said);
    this.#lab.story.output([said]);
  }
}

function ignore(): void {}

function commandLineFor(site: Site, json: boolean): CommandLine {
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
