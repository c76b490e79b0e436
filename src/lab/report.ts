/** The result of a lab: the closing table, and the document that `--json` prints. */
import type { Findings, LabMode, PingFinding, ThroughputFinding } from './lab.ts';
import { directions, greeting } from './sites.ts';
import type { StepRecord, Transcript } from './transcript.ts';
import type { TunnelFinding } from './tunnel-process.ts';

/** The document that `--json` prints. */
export interface LabReport extends Findings {
  /** Whether everything happened as expected. */
  ok: boolean;
  /** The first failure; null when `ok`. */
  failure: string | null;
  mode: LabMode;
  /** Whether everything that the lab created was removed. */
  removed: boolean;
  steps: StepRecord[];
}

interface Row {
  name: string;
  lines: readonly string[];
  ok: boolean;
}

/** Prints the results as a table. */
export function printSummary(transcript: Transcript, report: LabReport): void {
  const { ok, failure, removed, pings, hello, throughput, tunnels } = report;
  transcript.line();
  transcript.title('Summary');
  transcript.table([
    ...directions.flatMap(([from, to]) => pingRow(pings, from.name, to.name)),
    ...(hello === null ? [] : [helloRow(hello)]),
    ...throughput.map(({ from, to, bitsPerSecond, by }) => ({
      name: `TCP ${from} → ${to}`,
      lines: [`${formatRate(bitsPerSecond)} (${programs[by]})`],
      ok: true,
    })),
    ...tunnels.map(tunnelRow),
    {
      name: 'clean-up',
      lines: [removed ? 'everything removed' : 'not everything was removed: see above'],
      ok: removed,
    },
  ]);
  transcript.line();
  transcript.title(ok ? 'The tunnel works.' : `The lab failed: ${failure}.`);
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
  return { name: `"${greeting}" through TCP`, lines: [ok ? 'received' : `received as "${hello}"`], ok };
}

function tunnelRow({ site, exitCode, signal, summary }: TunnelFinding): Row {
  const ok = exitCode === 0 && summary.length > 0;
  const lines =
    summary.length > 0 ? summary : [`ended with ${signal ?? `exit code ${exitCode}`} and printed no summary`];
  return { name: `ttun in ${site}`, lines, ok };
}

/** "9.71 Gbit/s", "861 Mbit/s". */
export function formatRate(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e9
    ? `${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s`
    : `${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s`;
}
