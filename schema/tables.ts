/** The tables of docs/configuration.md, made from the schema that checks the options. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { JsonSchema } from '@valibot/to-json-schema';
import { FILE, TUNNEL } from '../src/schema.ts';
import { describe, entriesOf, exampleOf, fileTunnel } from './json-schema.ts';

export const PAGE_FILE: string = fileURLToPath(new URL('../docs/configuration.md', import.meta.url));

/** The content of docs/configuration.md, with the rows of its tables regenerated. */
export async function pageText(): Promise<string> {
  const inFile = fileTunnel();
  const inProgram = describe(TUNNEL);
  let page = await readFile(PAGE_FILE, 'utf8');
  page = withRows(page, '[http]', rowsOf(property(describe(FILE), 'http')));
  page = withRows(page, '[tunnels.NAME]', rowsOf(inFile, inProgram));
  for (const key of ['probe', 'interface', 'offload']) {
    page = withRows(page, `[tunnels.NAME.${key}]`, rowsOf(property(inFile, key), property(inProgram, key)));
  }
  return page;
}

function property(schema: JsonSchema, key: string): JsonSchema {
  const found = entriesOf(schema).find(([name]) => name === key)?.[1];
  if (found === undefined) throw new Error(`the schema has no ${key}`);
  return found;
}

/** Puts the rows in place of those of the table below the heading. */
function withRows(page: string, heading: string, rows: readonly string[]): string {
  const start = page.indexOf(HEAD, page.indexOf(`## \`${heading}\``));
  if (start < 0) throw new Error(`docs/configuration.md has no table for ${heading}`);
  const end = page.indexOf('\n\n', start);
  return `${page.slice(0, start)}${HEAD}${rows.join('\n')}${page.slice(end)}`;
}

const HEAD = '| key | type | default | |\n|---|---|---|---|\n';

/** @param inProgram the same in `createTunnel`, where defaults may differ */
function rowsOf(schema: JsonSchema, inProgram = schema): string[] {
  return entriesOf(schema).map(([key, option]) => {
    const isRequired = schema.required?.includes(key) === true;
    const other = property(inProgram, key).default;
    const note =
      typeof other === 'boolean' && other !== option.default
        ? ` The default of \`createTunnel\` is \`${other}\`.`
        : '';
    const cells = [
      `\`${key}\``,
      typeOf(option),
      isRequired ? 'required' : defaultOf(option),
      textOf(option) + note,
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

/** The sentence about the default without the option. */
const ABSENT = / Absent: (?<fallback>[^.]*)\./;

function defaultOf({ default: fallback, description = '' }: JsonSchema): string {
  if (typeof fallback === 'boolean') return `\`${fallback}\``;
  return ABSENT.exec(description)?.groups?.['fallback'] ?? '';
}

function textOf(option: JsonSchema): string {
  if (option.properties !== undefined) return 'See below.';
  const text = option.description?.replace(ABSENT, '') ?? '';
  const example = exampleOf(option);
  return example === null ? text : `${text} Example: \`${JSON.stringify(example).replaceAll(',', ', ')}\`.`;
}

function typeOf({ type, const: literal, anyOf, items, properties }: JsonSchema): string {
  if (properties !== undefined) return 'table';
  if (anyOf !== undefined) return anyOf.map((one) => typeOf(Object(one))).join(' or ');
  if (literal !== undefined) return `\`${JSON.stringify(literal)}\``;
  return type === 'array' ? `array of ${typeOf(Object(items))}s` : String(type);
}
