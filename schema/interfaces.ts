/** The TypeScript interfaces of the options and their defaults, made from the schema that checks them. */
import { fileURLToPath } from 'node:url';
import type { JsonSchema } from '@valibot/to-json-schema';
import { format, resolveConfig } from 'prettier';
import * as v from 'valibot';
import { TUNNEL } from '../src/schema.ts';
import { describe, entriesOf, exampleOf, fileTunnel } from './json-schema.ts';

export const INTERFACES_FILE: string = fileURLToPath(new URL('../src/options.ts', import.meta.url));

/** The content of src/options.ts. */
export async function interfacesText(): Promise<string> {
  const source = [
    '/** The options of a tunnel. Generated from schema.ts by `npm run schema`. */',
    "import type { ResolvedOptions } from './schema.ts';\n",
    ...interfaceOf('TunnelOptions', describe(TUNNEL), fileTunnel()),
    '/** The options that need not be given, for the command line, which does without the schema. */',
    `export const TUNNEL_DEFAULTS: Omit<ResolvedOptions, ${REQUIRED.map((key) => `'${key}'`).join(' | ')}> = ${JSON.stringify(defaults())};\n`,
  ].join('\n');
  return format(source, { ...(await resolveConfig(INTERFACES_FILE)), filepath: INTERFACES_FILE });
}

const REQUIRED = ['device', 'local', 'remote'] as const;

function defaults(): object {
  const resolved = v.parse(TUNNEL, { device: 'tun0', local: ':8000', remote: '192.0.2.2:8000' });
  return Object.fromEntries(
    Object.entries(resolved).filter(([key]) => !REQUIRED.some((required) => required === key)),
  );
}

/** An interface, and those of its properties before it. */
function* interfaceOf(name: string, schema: JsonSchema, inFile: JsonSchema): Generator<string> {
  const properties = entriesOf(schema).map(([key, property]) => {
    const isRequired = schema.required?.includes(key) === true;
    const inFiles = entriesOf(inFile).find(([other]) => other === key)?.[1];
    return `${comment(docOf(property, inFiles))}\nreadonly ${key}${isRequired ? '' : '?'}: ${typeOf(key, property)};`;
  });
  yield `${comment(schema.description ?? '')}\nexport interface ${name} {\n${properties.join('\n')}\n}\n`;
  for (const [key, property] of entriesOf(schema)) {
    if (property.properties !== undefined) yield* interfaceOf(interfaceName(key), property, property);
  }
}

function interfaceName(key: string): string {
  return `${key.charAt(0).toUpperCase()}${key.slice(1)}Options`;
}

function typeOf(key: string, { type, const: literal, anyOf, items, properties }: JsonSchema): string {
  if (properties !== undefined) return interfaceName(key);
  if (anyOf !== undefined) return anyOf.map((one) => typeOf(key, Object(one))).join(' | ');
  if (literal !== undefined) return JSON.stringify(literal);
  if (type === 'array') return `readonly ${typeOf(key, Object(items))}[]`;
  if (type === 'integer') return 'number';
  if (typeof type !== 'string') throw new Error(`${key} has a type that cannot be written in TypeScript`);
  return type;
}

/** The description, with the default, and with an example if it shows none. */
function docOf(property: JsonSchema, inFile: JsonSchema | undefined): string {
  const { description = '', default: fallback } = property;
  const sentences = [description];
  const [example] = [exampleOf(property)].flat();
  if (typeof example === 'string') sentences.push(`Example: \`${example}\`.`);
  if (typeof fallback === 'boolean') {
    const other = inFile?.default === fallback ? '' : `, in \`ttun up\` \`${!fallback}\``;
    sentences.push(`Default \`${fallback}\`${other}.`);
  }
  return sentences.join(' ');
}

function comment(text: string): string {
  const oneLine = `/** ${text} */`;
  if (oneLine.length <= WIDTH) return oneLine;
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return ['/**', ...lines.map((line) => ` * ${line}`), ' */'].join('\n');
}

const WIDTH = 115;
