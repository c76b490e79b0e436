/** Any content of a file gives a configuration or a `TtunConfigError`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'smol-toml';
import { parseConfig, TtunConfigError } from '../../src/index.ts';
import type { ConfigFormat } from '../../src/index.ts';
import { ROOT } from '../readme/markdown.ts';

const EXAMPLE = await readFile(join(ROOT, 'examples/ttun.toml'), 'utf8');
const EXAMPLES = { toml: EXAMPLE, json: JSON.stringify(parse(EXAMPLE), null, 1) } as const;

/** Reproducible random numbers (mulberry32). */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    yield (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

const PIECES = [
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '"""',
  '=',
  ':',
  ',',
  '.',
  '#',
  '\n',
  '\r\n',
  '\\',
  '\\u',
  '-',
  '_',
  '\0',
  '\uD800',
  '[tunnels.a]',
  '[[tunnels]]',
  'tunnels',
  'device',
  'local',
  '"tun0"',
  '":8000"',
  '__proto__',
  'constructor',
  'true',
  'null',
  'nan',
  '0x77',
  '1e999',
  '2026-11-22',
  '10.0.0.0/8',
  'ü',
  '\u202E',
  ' ',
  '\t',
];

for (const format of ['toml', 'json'] satisfies ConfigFormat[]) {
  test(`${format}: random text causes problems, not exceptions`, (t) => {
    const random = numbers(1);
    const below = (limit: number): number => random.next().value % limit;
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: below(30) }, () => PIECES[below(PIECES.length)]).join('');
      check(text, format);
    }
    t.pass();
  });

  test(`${format}: a valid configuration with random changes gives a configuration or problems`, (t) => {
    const random = numbers(2);
    const below = (limit: number): number => random.next().value % limit;
    let [right, wrong] = [0, 0];
    for (let round = 0; round < 1000; round++) {
      let text: string = EXAMPLES[format];
      for (let change = below(3); change >= 0; change--) {
        const at = below(text.length);
        text = text.slice(0, at) + PIECES[below(PIECES.length)] + text.slice(at + below(4));
      }
      if (check(text, format)) right += 1;
      else wrong += 1;
    }
    t.true(right > 0 && wrong > 0, 'the changes try both');
  });
}

/** Whether it is a configuration. */
function check(text: string, format: ConfigFormat): boolean {
  try {
    parseConfig(text, { format });
    return true;
  } catch (error) {
    if (error instanceof TtunConfigError && error.problems.length > 0) return false;
    throw new Error(`not a list of problems, but ${String(error)}: ${JSON.stringify(text)}`, {
      cause: error,
    });
  }
}
