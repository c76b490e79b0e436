/** docs/doctor.md lists every finding of the doctor. */
import test from 'ava';
import { readFile } from 'node:fs/promises';
import { CATALOGUE } from '../../src/doctor/finding.ts';

test('the documented findings are the ones in the code, in the same order', async (t) => {
  const text = await readFile(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(?<code>[a-z-]+)` +\| (?<severity>\w+) +\| (?<why>.*?) +\|$/gm)];
  const documented = rows.map(({ groups }) => [groups?.['code'], groups?.['severity'], groups?.['why']]);
  const all = Object.entries(CATALOGUE).map(([code, { severity, why }]) => [code, severity, why]);
  t.deepEqual(documented, all);
});
