/** Text that is not valid in its format. */
import test from 'ava';
import type { ConfigFormat } from '../../src/index.ts';
import { refusalOf } from './refusal.ts';

type Case = readonly [
  what: string,
  text: string,
  place: readonly [line: number, column: number],
  message: string,
  hint: string | null,
];

const TOML: readonly Case[] = [
  [
    'text without quotes',
    '[tunnels.a]\ndevice = tun0\n',
    [2, 10],
    'not valid TOML: unexpected character: device = tun0',
    'put quotes around text: device = "tun0"',
  ],
  [
    'an address without quotes',
    '[tunnels.a]\r\nlocal = 192.0.2.1:8000 # mine\r\n',
    [2, 14],
    'not valid TOML: unexpected character: local = 192.0.2.1:8000 # mine',
    'put quotes around text: local = "192.0.2.1:8000"',
  ],
  [
    'a key that is given twice',
    '[tunnels.a]\ndevice = "tun0"\ndevice = "tun1"\n',
    [3, 1],
    'not valid TOML: defining a key multiple times is invalid: device = "tun1"',
    null,
  ],
  [
    'a tunnel that is given twice',
    '[tunnels.a]\n[tunnels.a]\n',
    [2, 10],
    'not valid TOML: defining a key multiple times is invalid: [tunnels.a]',
    null,
  ],
  ['a list without an end', 'a = [1,\n', [2, 1], 'not valid TOML: unspecified values are invalid', null],
];

const JSON_TEXTS: readonly Case[] = [
  ['nothing', '', [1, 1], 'not valid JSON: the end of the file where a value was expected', null],
  [
    'a comma too many',
    '{\n  "tunnels": {},\n}',
    [3, 1],
    "not valid JSON: '}' after a comma: }",
    'remove the comma after the last element',
  ],
  [
    'a comma too few',
    '{\n  "http": {}\n  "tunnels": {}\n}',
    [3, 3],
    "not valid JSON: '\"' where ',' or '}' was expected: \"tunnels\": {}",
    null,
  ],
  [
    'a comment',
    '{\n  // mine\n}',
    [2, 3],
    'not valid JSON: JSON has no comments: // mine',
    'remove it, or write the file in TOML',
  ],
  [
    'a key without quotes',
    '{ tunnels: {} }',
    [1, 3],
    "not valid JSON: 'tunnels' where a key was expected: { tunnels: {} }",
    'write keys in double quotes',
  ],
  [
    'text without quotes',
    '{"tunnels": tun0}',
    [1, 13],
    'not valid JSON: \'tun0\' where a value was expected: {"tunnels": tun0}',
    'write text in double quotes',
  ],
  [
    'a hexadecimal number',
    '{"fwmark": 0x77}',
    [1, 12],
    'not valid JSON: \'0x77\' where a value was expected: {"fwmark": 0x77}',
    'write the number in decimal: 119',
  ],
  [
    'a number with a leading zero',
    '{"mtu": 01400}',
    [1, 9],
    'not valid JSON: \'01400\' where a value was expected: {"mtu": 01400}',
    'write text in double quotes',
  ],
  [
    'unterminated string',
    '{"device": "tun0\n}',
    [1, 12],
    'not valid JSON: unterminated string: {"device": "tun0',
    'close it with a double quote on the same line',
  ],
  [
    'an invalid escape',
    String.raw`{"device": "tun\0"}`,
    [1, 16],
    String.raw`not valid JSON: invalid escape in a string: {"device": "tun\0"}`,
    String.raw`write a backslash as \\`,
  ],
  ['more after the end', '{}\n{}', [2, 1], "not valid JSON: '{' after the end of the object: {}", null],
  [
    'a key that is given twice',
    '{"tunnels": {\n  "a": {},\n  "a": {}}}',
    [3, 3],
    'the key "a" is given twice, first on line 2: "a": {}}}',
    'remove one of them',
  ],
  [
    'many levels',
    '['.repeat(100_000),
    [1, 34],
    `not valid JSON: objects and lists are nested more than 32 levels deep: …${'['.repeat(60)}…`,
    null,
  ],
];

for (const [format, cases] of [
  ['toml', TOML],
  ['json', JSON_TEXTS],
] satisfies (readonly [ConfigFormat, readonly Case[]])[]) {
  for (const [what, text, [line, column], message, hint] of cases) {
    test(`${format}: ${what} is reported with line, column and excerpt`, (t) => {
      t.deepEqual(refusalOf(text, format).problems, [{ file: null, line, column, path: '', message, hint }]);
    });
  }
}

test('too many nested tables are an error in TOML too', (t) => {
  for (const text of [`a = ${'['.repeat(100_000)}`, `a = ${'{a='.repeat(100_000)}`]) {
    t.is(refusalOf(text).problems.length, 1);
  }
  t.regex(refusalOf(`[${'a.'.repeat(50_000)}a]`).message, /a: unknown option/);
});
