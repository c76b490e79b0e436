/** ttun.toml(5), made from the JSON Schema of configuration files. */
import type { Edition } from './edition.ts';
import { bold, head, italic, item, literal, text } from './roff.ts';

/** The part of JSON Schema (draft 7) that the file uses. */
export interface JsonSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly required?: readonly string[];
}

export function configPage(schema: JsonSchema, example: string, edition: Edition): string {
  const blocks = [
    head('TTUN.TOML', 5, 'File Formats', edition),
    '.SH NAME',
    text('ttun.toml - the tunnels of ttun up'),
    '.SH DESCRIPTION',
    DESCRIPTION.map(text).join('\n.PP\n'),
    ...tables(schema, ''),
    '.SH EXAMPLE',
    literal(example.trimEnd()),
    '.SH SEE ALSO',
    '.BR ttun (1)',
  ];
  return `${blocks.join('\n')}\n`;
}

const DESCRIPTION = [
  'Describes tunnels for ttun up, in TOML; a file whose name ends in .json holds the same in JSON. Keys that are not known are mistakes.',
  'ttun check finds all that is wrong with a file. An editor finds it too, by the JSON Schema that comes with the package: schema/ttun.schema.json.',
];

/** A section for each table that has keys of its own, those within it after it. */
function tables(schema: JsonSchema, name: string): string[] {
  const properties = Object.entries(schema.properties ?? {});
  const keys = properties.filter(
    ([key, { properties: inner, additionalProperties }]) =>
      inner === undefined && typeof additionalProperties !== 'object' && !key.startsWith('$'),
  );
  const inner = properties.flatMap(([key, property]) => {
    const path = name === '' ? key : `${name}.${key}`;
    return typeof property.additionalProperties === 'object'
      ? tables(property.additionalProperties, `${path}.<name>`)
      : tables(property, path);
  });
  if (keys.length === 0) return inner;
  return [
    `.SH ${text(`[${name}]`)}`,
    text(schema.description ?? ''),
    ...keys.map(([key, property]) => keyItem(key, property, schema.required?.includes(key) === true)),
    ...inner,
  ];
}

function keyItem(
  key: string,
  { description = '', default: usual, examples = [] }: JsonSchema,
  isRequired: boolean,
): string {
  const [example] = usual === undefined ? examples : [usual];
  const term = example === undefined ? bold(key) : `${bold(key)} = ${italic(JSON.stringify(example))}`;
  const fallback = usual === undefined ? '' : ` Default: ${JSON.stringify(usual)}.`;
  return item(term, `${description}${isRequired ? ' Required.' : fallback}`);
}
