/** The schema, the interfaces, docs/configuration.md and the example have the same options. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'smol-toml';
import { SCHEMA_FILE } from '../../schema/json-schema.ts';
import { parseConfig } from '../../src/index.ts';
import { blocksOf, ROOT } from '../readme/markdown.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
}

const SCHEMA: Schema = JSON.parse(await readFile(SCHEMA_FILE, 'utf8'));
const PAGE = await readFile(join(ROOT, 'docs/configuration.md'), 'utf8');
const EXAMPLE = await readFile(join(ROOT, 'examples/ttun.toml'), 'utf8');

const { http, tunnels } = SCHEMA.properties ?? {};
const tunnel = tunnels?.additionalProperties || undefined;

const TABLES: readonly (readonly [heading: string, schema: Schema | undefined])[] = [
  ['[http]', http],
  ['[tunnels.NAME]', tunnel],
  ['[tunnels.NAME.interface]', tunnel?.properties?.['interface']],
  ['[tunnels.NAME.offload]', tunnel?.properties?.['offload']],
];

for (const [heading, schema] of TABLES) {
  test(`the table of \`${heading}\` has each key of the schema in its order, with type and default`, (t) => {
    const rows = rowsUnder(heading);
    t.deepEqual(
      rows.map(([key]) => key),
      Object.keys(schema?.properties ?? {}).map((key) => `\`${key}\``),
    );
    for (const [key, type, fallback] of rows) {
      const name = key.replaceAll('`', '');
      const property = schema?.properties?.[name];
      if (property?.type !== undefined)
        t.true(type.startsWith(TYPES[property.type] ?? '?'), `${name}: ${type}`);
      t.is(fallback === 'required', schema?.required?.includes(name) === true, `${name}: ${fallback}`);
      if (typeof property?.default === 'boolean') t.is(fallback, `\`${property.default}\``, name);
      t.true((property?.description ?? '').length > 10, `${name} is explained to editors`);
    }
  });
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'string',
  boolean: 'boolean',
  integer: 'integer',
  array: 'array',
  object: 'table',
};

function rowsUnder(heading: string): [key: string, type: string, fallback: string][] {
  const start = PAGE.indexOf(`## \`${heading}\``);
  const end = PAGE.indexOf('\n## ', start + 1);
  return PAGE.slice(start, end)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, key = '', type = '', fallback = ''] = line.split('|').map((cell) => cell.trim());
      return [key, type, fallback];
    });
}

test('each configuration in the page is valid, and both formats show the same one', (t) => {
  const inToml = blocksOf(PAGE, 'toml').map((text) => parseConfig(text, { format: 'toml' }));
  const inJson = blocksOf(PAGE, 'json').map((text) => parseConfig(text, { format: 'json' }));
  t.true(inToml.length >= 3);
  t.deepEqual(inToml[0], inJson[0]);
  for (const { warnings } of [...inToml, ...inJson]) t.deepEqual(warnings, []);
});

test('the example has every key', (t) => {
  t.deepEqual(parseConfig(EXAMPLE, { format: 'toml' }).warnings, []);
  const example = parse(EXAMPLE);
  const missing = [...keysOf(SCHEMA)].filter((path) => !path.includes('$schema') && !has(example, path));
  t.deepEqual(missing, []);
});

function* keysOf(
  { properties, additionalProperties }: Schema,
  above: readonly string[] = [],
): Generator<readonly string[]> {
  const children = Object.entries(properties ?? {});
  if (additionalProperties) children.push(['office', additionalProperties]);
  for (const [key, child] of children) {
    yield [...above, key];
    yield* keysOf(child, [...above, key]);
  }
}

/** One of the tunnels has each key: some exclude each other. */
function has(value: unknown, path: readonly string[]): boolean {
  const [key, ...rest] = path;
  if (key === undefined) return true;
  if (key === 'office' && rest.length > 0) {
    return Object.values(value ?? {}).some((one) => has(one, rest));
  }
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? has(Object.getOwnPropertyDescriptor(value, key)?.value, rest)
    : false;
}

test('the defaults in the interfaces are those of the schema', async (t) => {
  const source = await readFile(join(ROOT, 'src/options.ts'), 'utf8');
  for (const [heading, schema] of TABLES.slice(1)) {
    for (const [key, property] of Object.entries(schema?.properties ?? {})) {
      const documented = new RegExp(String.raw`/\*\*((?:(?!\*/)[^])*)\*/\s+readonly ${key}\??:`).exec(
        source,
      )?.[1];
      t.true(documented !== undefined, `${heading} ${key}`);
      const stated = /Default `(true|false)`/.exec(documented ?? '')?.[1];
      // A program's own default differs, and the sentence gives both.
      if (key === 'reattach') t.regex(documented ?? '', /Default `false`, in `ttun up` `true`/);
      else if (stated !== undefined) t.is(stated, String(property.default), key);
    }
  }
});
