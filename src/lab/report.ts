import type { Findings, PingFinding, ThroughputFinding, TunnelFinding } from './findings.ts';
import { greeting } from './hello.ts';
import type { LabMode } from './lab.ts';
import type { StepRecord, Story } from './story.ts';
import { directions } from './sites.ts';
import { formatRate } from './units.ts';

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
