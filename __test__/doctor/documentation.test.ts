/** docs/doctor.md lists all that the doctor finds, as it tells it. */
import test from 'ava';
import { readFile } from 'node:fs/promises';
import { CATALOGUE } from '../../src/doctor/finding.ts';

test('the documented findings are those that there are, in their order', async (t) => {
  const text = await readFile(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(?<code>[a-z-]+)` +\| (?<severity>\w+) +\| (?<why>.*?) +\|$/gm)];
  const documented = rows.map(({ groups }) => [groups?.['code'], groups?.['severity'], groups?.['why']]);
  const all = Object.entries(CATALOGUE).map(([code, { severity, why }]) => [code, severity, why]);
  t.deepEqual(documented, all);
});
