import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { makePages } from '../../manual/pages.ts';
import { text } from '../../manual/roff.ts';
import { loadSpecs } from '../../src/cli/commands/index.ts';
import { PROGRAM } from '../../src/cli/program-spec.ts';
import { run, runToEnd } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAN_PAGE = `${ROOT}man/ttun.1`;

test('the man page and docs/command-line.md are those that npm run manual makes', async (t) => {
  for (const [path, made] of await makePages()) {
    t.is(await readFile(ROOT + path, 'utf8'), made, `${path} is of other specs; type: npm run manual`);
  }
});

test('mandoc finds nothing wrong with the man page', async (t) => {
  const { stdout, stderr, status } = await runToEnd(['mandoc', '-T', 'lint', '-W', 'style', MAN_PAGE]);
  t.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('man shows every command and option as it is typed', async (t) => {
  const env = {
    ...process.env,
    LC_ALL: 'C.UTF-8',
    MANWIDTH: '100',
    MAN_KEEP_FORMATTING: '',
    GROFF_NO_SGR: '1',
  };
  const { stdout: shown, stderr } = await run(['man', '--warnings', '-l', MAN_PAGE], { env });
  t.is(stderr, '');
  for (const heading of ['NAME', 'SYNOPSIS', 'OPTIONS', 'COMMANDS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES']) {
    t.regex(shown, new RegExp(`^${heading}$`, 'm'));
  }
  for (const { name, usage, options } of [PROGRAM, ...(await loadSpecs())]) {
    if (name !== '') t.regex(shown, new RegExp(`^ +ttun ${name}`, 'm'));
    t.true(usage.length > 0);
    for (const option of Object.keys(options)) t.regex(shown, new RegExp(`^ .*--${option}\\b`, 'm'), option);
  }
});

test('a page is not made of characters that man pages have no name for', (t) => {
  t.is(text('a–b…'), String.raw`a\(enb...`);
  t.is(text(String.raw`.no 'request' \and -no escape`), String.raw`\&.no 'request' \eand \-no escape`);
  t.throws(() => text('☃'), { message: /roff\.ts knows no name for ☃/ });
});
