import type { WriteStream } from 'node:tty';
import { LabFailure } from './lab.ts';
import type { LabMode } from './lab.ts';
import { directions } from './sites.ts';
import { greeting } from './traffic.ts';

/** A command that the lab ran, as the JSON document reports it. */
export interface CommandRecord {
  command: string;
  /** Null when it was ended by a signal, or left running. */
  exitCode: number | null;
  /** What it printed, line by line. */
  output: string[];
}

/** Something that had to happen, and whether it did. */
export interface CheckRecord {
  ok: boolean;
  text: string;
}

export interface StepRecord {
  number: number;
  title: string;
  commands: CommandRecord[];
  checks: CheckRecord[];
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'cyan';

const codes: Record<Style, [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  cyan: [36, 39],
};

/** Tells the lab as numbered steps on a stream for people, and keeps a record of them for programs. */
export class Story {
  readonly steps: StepRecord[] = [];
  readonly #stream: WriteStream;
  readonly #coloured: boolean;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    this.#coloured = stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  }

  title(text: string): void {
    this.#print(this.#paint('bold', text));
  }

  /** Begins a step; `why` says in a sentence what it is for. */
  step(title: string, ...why: string[]): void {
    const number = this.steps.length + 1;
    this.steps.push({ number, title, commands: [], checks: [] });
    this.#print('');
    this.#print(this.#paint('bold', `${String(number).padStart(2)}. ${title}`));
    for (const line of why) this.note(line);
  }

  note(text: string): void {
    this.#print(`    ${this.#paint('dim', text)}`);
  }

  /** A command about to run, below a remark on it. */
  command(command: string, remark = ''): void {
    if (remark) this.note(`# ${remark}`);
    this.#print(`    ${this.#paint('dim', '$')} ${this.#paint('cyan', command)}`);
  }

  /** What a command printed, or a part of it. */
  output(lines: string[]): void {
    for (const line of lines) this.#print(`      ${line}`);
  }

  record(record: CommandRecord): void {
    this.steps.at(-1)?.commands.push(record);
  }

  succeeded(text: string): void {
    this.#check({ ok: true, text });
  }

  failed(text: string): void {
    this.#check({ ok: false, text });
  }

  /** Tells what had to happen, or throws when it did not. */
  expect(ok: boolean, right: string, wrong: string): void {
    if (!ok) throw new LabFailure(wrong);
    this.succeeded(right);
  }

  /** A table of a mark and two columns; a value may have several lines. */
  table(rows: readonly { name: string; lines: readonly string[]; ok: boolean }[]): void {
    const width = Math.max(...rows.map(({ name }) => name.length));
    for (const { name, lines, ok } of rows) {
      for (const [index, line] of lines.entries()) {
        const head = index === 0 ? `${this.#mark(ok)} ${name.padEnd(width)}` : ' '.repeat(width + 2);
        this.#print(`    ${head}   ${line}`);
      }
    }
  }

  line(text = ''): void {
    this.#print(text);
  }

  #check(check: CheckRecord): void {
    this.steps.at(-1)?.checks.push(check);
    this.#print(`    ${this.#mark(check.ok)} ${check.text}`);
  }

  #mark(ok: boolean): string {
    return ok ? this.#paint('green', '✓') : this.#paint('red', '✗');
  }

  #paint(style: Style, text: string): string {
    const [on, off] = codes[style];
    return this.#coloured ? `\u001B[${on}m${text}\u001B[${off}m` : text;
  }

  #print(line: string): void {
    this.#stream.write(`${line.trimEnd()}\n`);
  }
}

/** The document that `--json` prints. */
export interface LabReport extends Findings {
  /** Whether everything happened as it should. */
  ok: boolean;
  /** What did not; null when `ok`. */
  failure: string | null;
  mode: LabMode;
  /** Whether everything that the lab made is gone. */
  removed: boolean;
  steps: StepRecord[];
}

interface Row {
  name: string;
  lines: readonly string[];
  ok: boolean;
}

/** What the lab showed, in a table: a row for everything that it came to. */
export function tellSummary(story: Story, report: LabReport): void {
  const { ok, failure, removed, pings, hello, throughput, tunnels } = report;
  story.line();
  story.title('Summary');
  story.table([
    ...directions.flatMap(([from, to]) => pingRow(pings, from.name, to.name)),
    ...(hello === null ? [] : [helloRow(hello)]),
    ...throughput.map(({ from, to, bitsPerSecond, by }) => ({
      name: `TCP ${from} → ${to}`,
      lines: [`${formatRate(bitsPerSecond)} (${programs[by]})`],
      ok: true,
    })),
    ...tunnels.map(tunnelRow),
    { name: 'removed again', lines: [removed ? 'everything' : 'not everything: see above'], ok: removed },
  ]);
  story.line();
  story.title(ok ? 'The tunnel works.' : `The lab did not get through: ${failure}.`);
}

const programs: Record<ThroughputFinding['by'], string> = { iperf3: 'iperf3', node: "the lab's own program" };

function pingRow(pings: PingFinding[], from: string, to: string): Row[] {
  const through = pings.filter((ping) => ping.from === from && ping.to === to && ping.over === 'tunnel');
  const before = through.find(({ tunnelRuns }) => !tunnelRuns);
  const after = through.find(({ tunnelRuns }) => tunnelRuns);
  if (!before || !after) return [];
  return [
    {
      name: `${after.by === 'ping' ? 'ping' : 'TCP knock'} ${from} → ${to}`,
      lines: [`without ttun ${outcome(before)}, with ttun ${outcome(after)}`],
      ok: !before.answered && after.answered,
    },
  ];
}

function outcome({ answered, roundTripMs }: PingFinding): string {
  if (!answered) return 'no answer';
  return roundTripMs === null ? 'an answer' : `${roundTripMs} ms`;
}

function helloRow(hello: string): Row {
  const ok = hello === greeting;
  return { name: `"${greeting}" through TCP`, lines: [ok ? 'arrived' : `came as "${hello}"`], ok };
}

function tunnelRow({ site, exitCode, signal, summary }: TunnelFinding): Row {
  const ok = exitCode === 0 && summary.length > 0;
  const lines =
    summary.length > 0 ? summary : [`ended with ${signal ?? `exit code ${exitCode}`}, and no summary`];
  return { name: `ttun in ${site}`, lines, ok };
}

/** One attempt to reach an address of the other site. */
export interface PingFinding {
  from: string;
  to: string;
  address: string;
  over: 'cable' | 'tunnel';
  /** Whether the two ttun ran. */
  tunnelRuns: boolean;
  by: 'ping' | 'tcp-knock';
  answered: boolean;
  /** Round trip in ms; null without an answer. */
  roundTripMs: number | null;
}

export interface ThroughputFinding {
  from: string;
  to: string;
  by: 'iperf3' | 'node';
  bitsPerSecond: number;
  seconds: number;
}

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

/** What the lab found out; all of it is in the JSON document. */
export interface Findings {
  pings: PingFinding[];
  /** What arrived at the other end of the TCP connection; null when nothing was sent yet. */
  hello: string | null;
  throughput: ThroughputFinding[];
  tunnels: TunnelFinding[];
}

/** "9.71 Gbit/s", "861 Mbit/s". */
export function formatRate(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e9
    ? `${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s`
    : `${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s`;
}
