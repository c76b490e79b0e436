/** TOML and JSON are equivalent. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'smol-toml';
import { parseConfig } from '../../src/index.ts';
import { ROOT } from '../readme/markdown.ts';
import { problemsOf, refusalOf } from './refusal.ts';

const EXAMPLE = await readFile(join(ROOT, 'examples/ttun.toml'), 'utf8');

function asJson(toml: string): string {
  return JSON.stringify(parse(toml), null, 2);
}

test('the same configuration gives the same result in TOML and in JSON', (t) => {
  const fromToml = parseConfig(EXAMPLE, { format: 'toml' });
  t.deepEqual(fromToml, parseConfig(asJson(EXAMPLE), { format: 'json' }));
  t.deepEqual([...fromToml.tunnels.keys()], ['office', 'home', 'lab.bench']);
  t.deepEqual(fromToml.warnings, []);
  t.deepEqual(fromToml.http, { listen: '127.0.0.1:9750' });
  t.deepEqual(fromToml.tunnels.get('lab.bench'), {
    device: 'tun1',
    local: '[fe80::1%eth1]:9000',
    remote: '[fe80::2%eth1]:9000',
  });
});

test('problems are the same in both, each with its own lines', (t) => {
  const toml = '[http]\nlisten = 3\n[tunnels.a]\ndevice = "tun0"\nlocal = ":0"\nremote = "b:1"\nmss = 1\n';
  const [fromToml, fromJson] = [problemsOf(toml), problemsOf(asJson(toml), 'json')].map((problems) =>
    problems.map((problem) => problem.replace(/^\d+/, '')).sort(),
  );
  t.deepEqual(fromToml, fromJson);
  const json =
    '{\n  "tunnels": {\n    "a": {\n      "device": 1,\n      "local": ":1", "remote": "b:1"\n    }}}';
  t.like(refusalOf(json, 'json').problems, [{ line: 4, column: 7, path: 'tunnels.a.device' }]);
});

test('Windows line endings and a byte order mark make no difference', (t) => {
  const same = parseConfig(EXAMPLE, { format: 'toml' });
  t.deepEqual(parseConfig(`\uFEFF${EXAMPLE.replaceAll('\n', '\r\n')}`, { format: 'toml' }), same);
  const json = `\uFEFF${asJson(EXAMPLE).replaceAll('\n', '\r\n')}`;
  t.deepEqual(parseConfig(json, { format: 'json' }), same);
  const wrong = '[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = ":1"\n';
  t.deepEqual(problemsOf(wrong.replaceAll('\n', '\r\n')), problemsOf(wrong));
});

test('names of object properties are ordinary keys, and prototypes stay unchanged', (t) => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const text = `{"tunnels": {"${name}": {"device": "tun0", "local": ":1", "remote": "b:1"}}, "${name}": {"polluted": true}}`;
    const problems = problemsOf(text, 'json');
    t.true(problems.includes(`1: tunnels.${name}: is not a valid tunnel name\n  choose another name`));
    t.true(problems.some((problem) => problem.startsWith(`1: ${name}: unknown option`)));
  }
  t.is(
    Object.getPrototypeOf(parseConfig(EXAMPLE, { format: 'toml' }).tunnels.get('office')),
    Object.prototype,
  );
  t.false('polluted' in {});
});

const STATEMENTS: readonly (readonly [what: string, text: string, line: number])[] = [
  ['after a text of several lines', '"$schema" = """\n[tunnels.a]\nmtu = 1\n"""\n[tunnels.a]\n\nmtu = 1', 7],
  ['after a literal text of several lines', "\"$schema\" = '''\nx = [\n'''\n[tunnels.a]\nmtu = 1", 5],
  ['after a list of several lines', '[tunnels.a]\nallowedSources = [\n  "10.0.0.0/8", # ]\n]\nmtu = 1', 5],
  ['that begins a list of several lines', '[tunnels.a]\nlocal = ":1"\n\nmtu = [\n1,\n2,\n]', 4],
  ['in an inline table', '# no tables\n\ntunnels.a = { device = "tun0", mtu = 1 }', 3],
  ['with points', '[http]\nlisten = ":1"\n[tunnels]\na.local = ":1"\na.mtu = 1', 5],
  ['in quotes', '\n[tunnels."a"]\n"mtu" = 1', 3],
  ['with escapes', '[tunnels.a]\n"m\\u0074u" = 1', 2],
];

for (const [what, text, line] of STATEMENTS) {
  test(`the line of a key ${what} is found`, (t) => {
    const problem = refusalOf(text).problems.find(({ path }) => path === 'tunnels.a.mtu');
    t.is(problem?.line, line);
  });
}

test('the lines of a large file are found', (t) => {
  const many = Array.from({ length: 5000 }, (_, index) => `[tunnels.a${index}]\ndevice = "x"\n`).join('');
  const { problems } = refusalOf(many);
  t.is(problems.find(({ path }) => path === 'tunnels.a4999.local')?.line, 10_000 - 1);
  const long = `x = """\n${'\n'.repeat(50_000)}"""\n[tunnels.a]\n`;
  t.is(refusalOf(long).problems.find(({ path }) => path === 'tunnels.a.local')?.line, 50_003);
});

/** Each compared with all others would take minutes. */
test('20,000 routes and addresses are checked in linear time', (t) => {
  const list = Array.from({ length: 20_000 }, (_, index) => `"10.${index >> 8}.${index & 255}.1/32"`).join(
    ',\n',
  );
  const tables = ['a', 'b'].map(
    (name, index) =>
      `[tunnels.${name}]\ndevice = "tun-${name}"\nlocal = ":${index + 1}"\nremote = "192.0.2.9:1"\n` +
      `[tunnels.${name}.interface]\nroutes = [${list}]\naddresses = [${index === 0 ? list : '"10.0.0.0/8"'}]\n`,
  );
  const { tunnels, warnings } = parseConfig(tables.join(''), { format: 'toml' });
  t.is(tunnels.get('a')?.interface?.routes?.length, 20_000);
  t.is(warnings.filter(({ message }) => message.includes('already routed into tunnels.a')).length, 20_000);
});
