import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { text } from '../../manual/formats.ts';
import { ENVIRONMENT, makePages } from '../../manual/pages.ts';
import type { JsonSchema } from '../../manual/pages.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { PROGRAM } from '../../src/cli/tunnel-arguments.ts';
import { run, runToEnd } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAN_PAGE = `${ROOT}man/ttun.1`;
const CONFIG_PAGE = `${ROOT}man/ttun.toml.5`;

test('the man pages and docs/command-line.md are up to date', async (t) => {
  for (const [path, made] of await makePages()) {
    t.is(await readFile(ROOT + path, 'utf8'), made, `${path} is out of date; type: npm run manual`);
  }
});

test('mandoc finds no problems in the man pages', async (t) => {
  for (const page of [MAN_PAGE, CONFIG_PAGE]) {
    const { stdout, stderr, status } = await runToEnd(['mandoc', '-T', 'lint', '-W', 'style', page]);
    t.deepEqual([status, stdout, stderr], [0, '', '']);
  }
});

/** As a terminal shows it. */
async function rendered(page: string): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '100' };
  const { stdout, stderr } = await run(['man', '--warnings', '-l', page], { env });
  return stderr + stdout;
}

test('man shows every command and option as it is typed', async (t) => {
  const shown = await rendered(MAN_PAGE);
  t.regex(shown, /^TTUN\(1\)/);
  for (const heading of ['NAME', 'SYNOPSIS', 'OPTIONS', 'COMMANDS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES']) {
    t.regex(shown, new RegExp(`^${heading}$`, 'm'));
  }
  const specs = await Promise.all([...COMMANDS.values()].map(async ({ load }) => (await load()).SPEC));
  for (const { name, usage, options } of [PROGRAM, ...specs]) {
    if (name !== '') t.regex(shown, new RegExp(`^ +ttun ${name}`, 'm'));
    t.true(usage.length > 0);
    for (const option of Object.keys(options)) t.regex(shown, new RegExp(`^ .*--${option}\\b`, 'm'), option);
  }
});

test('man ttun.toml shows every key of a configuration file', async (t) => {
  const shown = await rendered(CONFIG_PAGE);
  t.regex(shown, /^TTUN\.TOML\(5\)/);
  for (const table of ['http', 'tunnels.<name>', 'tunnels.<name>.interface', 'tunnels.<name>.offload']) {
    t.true(shown.includes(`\n[${table}]\n`), table);
  }
  const schema = await readFile(`${ROOT}schema/ttun.schema.json`, 'utf8');
  for (const key of keysIn(JSON.parse(schema))) t.regex(shown, new RegExp(`^ +${key}( |$)`, 'm'));
});

/** Keys that are not tables. */
function keysIn({ properties = {}, additionalProperties }: JsonSchema): string[] {
  const inside = typeof additionalProperties === 'object' ? keysIn(additionalProperties) : [];
  const own = Object.entries(properties).flatMap(([key, property]) => {
    const inner = keysIn(property);
    return inner.length === 0 ? [key] : inner;
  });
  return [...inside, ...own].filter((key) => !key.startsWith('$'));
}

test('the manual describes each environment variable that is read', async (t) => {
  const described = new Set(ENVIRONMENT.flatMap(([names]) => names.split(', ')));
  const read = (await readSources(`${ROOT}src`)).flatMap((source) => [
    ...[...source.matchAll(/process\.env\[['"](\w+)['"]\]/g)].map(([, name]) => name ?? ''),
    ...[...source.matchAll(/const \{([^}]*)\} = process\.env/g)].flatMap(
      ([, names]) => names?.match(/\b[A-Z_]+\b/g) ?? [],
    ),
  ]);
  t.true(read.includes('NO_COLOR') && read.includes('WATCHDOG_USEC'));
  // PATH needs no description.
  t.deepEqual(
    read.filter((name) => name !== 'PATH' && !described.has(name)),
    [],
  );
});

async function readSources(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
  return Promise.all(files.map((name) => readFile(`${folder}/${name}`, 'utf8')));
}

test('characters without a roff name are refused', (t) => {
  t.is(text('a–b…'), String.raw`a\(enb...`);
  t.is(text(String.raw`.no 'request' \and -no escape`), String.raw`\&.no 'request' \eand \-no escape`);
  t.throws(() => text('☃'), { message: /no roff name for ☃/ });
});
