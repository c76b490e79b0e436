/** Metrics in the text format of Prometheus, version 0.0.4. */
import type { TunnelReport } from '../../service/host.ts';
import type { ProcessFacts } from '../process-facts.ts';
import type { Metric, Sample } from './metric.ts';
import { PROCESS_METRICS } from './process-metrics.ts';
import { TUNNEL_METRICS } from './tunnel-metrics.ts';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All metrics of these tunnels, and of the process. */
export function formatMetrics(reports: readonly TunnelReport[], facts: ProcessFacts): string {
  const families = [
    ...TUNNEL_METRICS.map((metric) => formatFamily(metric, reports)),
    ...PROCESS_METRICS.map((metric) => formatFamily(metric, [facts])),
  ];
  return families.join('');
}

/** The samples of one metric stand together. One without samples is left out. */
function formatFamily<Subject>(metric: Metric<Subject>, subjects: readonly Subject[]): string {
  const samples = subjects.flatMap((subject) => metric.samples(subject));
  if (samples.length === 0) return '';
  return (
    `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n` +
    samples.map((sample) => formatSample(metric, sample)).join('')
  );
}

function formatSample({ name, labels }: Metric<never>, { labels: values, value }: Sample): string {
  const pairs = labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? '')}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  if (!/["\\\n]/.test(text)) return text;
  return escapeHelp(text).replaceAll('"', '\\"');
}
