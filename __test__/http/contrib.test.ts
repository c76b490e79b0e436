import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { PROCESS_METRICS, TUNNEL_METRICS } from '../../src/http/metrics.ts';
import { run } from '../../testbed/exec.ts';
import { checkExpressions } from './promtool.ts';

const CONTRIB = fileURLToPath(new URL('../../contrib/', import.meta.url));
const KNOWN = new Set(
  [...TUNNEL_METRICS, ...PROCESS_METRICS].flatMap(({ name, type }) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
  ),
);

function metricsIn(text: string): string[] {
  return [...text.matchAll(/\b(?:ttun|process)_[a-z_]+\b/g)].map(([name]) => name);
}

/** Every value with this key, anywhere in a document. */
function valuesOf(document: unknown, key: string): unknown[] {
  if (typeof document !== 'object' || document === null) return [];
  return Object.entries(document).flatMap(([name, value]) => (name === key ? [value] : valuesOf(value, key)));
}

test('the alert rules are valid, fire when they should, and use existing metrics', async (t) => {
  const folder = join(CONTRIB, 'prometheus');
  const { stdout } = await run(['promtool', 'check', 'rules', join(folder, 'alerts.yml')]);
  t.regex(stdout, /SUCCESS: 12 rules found/);
  const { stdout: tested } = await run(['promtool', 'test', 'rules', join(folder, 'alerts.test.yml')]);
  t.regex(tested, /SUCCESS/);

  const rules = await readFile(join(folder, 'alerts.yml'), 'utf8');
  t.deepEqual(
    metricsIn(rules).filter((name) => !KNOWN.has(name)),
    [],
  );
  const tests = await readFile(join(folder, 'alerts.test.yml'), 'utf8');
  for (const [, alert] of rules.matchAll(/- alert: (\w+)/g))
    t.true(tests.includes(`alertname: ${alert}\n`), alert);
});

test('the queries of the dashboard are valid, and use existing metrics', async (t) => {
  const dashboard: unknown = JSON.parse(await readFile(join(CONTRIB, 'grafana', 'ttun.json'), 'utf8'));
  const expressions = valuesOf(dashboard, 'expr').map(String);
  t.true(expressions.length >= 12);
  const asked = metricsIn([...expressions, ...valuesOf(dashboard, 'definition').map(String)].join('\n'));
  t.deepEqual(
    asked.filter((name) => !KNOWN.has(name)),
    [],
  );
  t.true(valuesOf(dashboard, 'uid').every((uid) => uid === '${datasource}' || uid === 'ttun'));

  const filledIn = expressions.map((expression) =>
    expression.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:instance|tunnel)/g, '.*'),
  );
  await t.notThrowsAsync(checkExpressions(filledIn));
});
