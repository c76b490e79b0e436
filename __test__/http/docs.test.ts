import { readFile } from 'node:fs/promises';
import test from 'ava';
import { PROCESS_METRICS, TUNNEL_METRICS } from '../../src/http/metrics.ts';
import type { Metric } from '../../src/http/metrics.ts';
import { readProcessStats } from '../../src/http/stats.ts';
import { checkExpressions } from './promtool.ts';
import { OPEN } from './reports.ts';

const PAGE = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

function rowOf({ name, type, unit, labels, help }: Metric<never>): string {
  const named = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${unit ?? '–'} | ${named === '' ? '–' : named} | ${help} |`;
}

test('docs/metrics.md lists exactly the existing metrics', (t) => {
  const rows = PAGE.split('\n').filter((line) => /^\| `(?:ttun|process)_/.test(line));
  t.deepEqual(rows, [...TUNNEL_METRICS.map(rowOf), ...PROCESS_METRICS.map(rowOf)]);
});

test('its queries are valid', async (t) => {
  const section = /### Useful queries(?<table>.*?)## /s.exec(PAGE)?.groups?.['table'] ?? '';
  const questions = [...section.matchAll(/\| `(?<question>[^`]+)` \|$/gm)].map(
    (match) => match.groups?.['question'] ?? '',
  );
  t.true(questions.length >= 5);
  await t.notThrowsAsync(checkExpressions(questions));
});

test('its example of /stats has the existing properties', (t) => {
  const example = Object(JSON.parse(/```json\n(?<json>.*?)```/s.exec(PAGE)?.groups?.['json'] ?? ''));
  t.deepEqual(Object.keys(example.process), Object.keys(readProcessStats()));
  t.deepEqual(Object.keys(example.tunnels[0]), Object.keys(OPEN));
});
