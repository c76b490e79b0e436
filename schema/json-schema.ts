/** The JSON Schema of configuration files, made from the schema that checks them. */
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import type { JsonSchema } from '@valibot/to-json-schema';
import { format } from 'prettier';
import type { GenericSchema } from 'valibot';
import { FILE } from '../src/schema.ts';

/** Where it is kept, and found in the package. */
export const SCHEMA_FILE: string = fileURLToPath(new URL('ttun.schema.json', import.meta.url));

export async function jsonSchemaText(): Promise<string> {
  return format(JSON.stringify(describe(FILE)), { parser: 'json', printWidth: 110 });
}

/** Checks that only code can do are omitted: the JSON Schema accepts slightly more than ttun does. */
export function describe(schema: GenericSchema): JsonSchema {
  return toJsonSchema(schema, { typeMode: 'input', ignoreActions: ['raw_check'], target: 'draft-07' });
}

/** A tunnel in a file, whose defaults may differ from those of `createTunnel`. */
export function fileTunnel(): JsonSchema {
  const tunnels = describe(FILE).properties?.['tunnels'];
  const tunnel = typeof tunnels === 'object' ? tunnels.additionalProperties : undefined;
  if (typeof tunnel !== 'object') throw new Error('the schema of a file has no tunnels');
  return tunnel;
}

export function entriesOf({ properties = {} }: JsonSchema): [string, JsonSchema][] {
  return Object.entries(properties).filter(
    (entry): entry is [string, JsonSchema] => typeof entry[1] === 'object',
  );
}

/** The first example, if the description shows none. */
export function exampleOf({ description = '', examples }: JsonSchema): unknown {
  const [example] = Array.isArray(examples) ? examples : [];
  const isShown =
    /`[^`]*\d[^`]*`/.test(description) ||
    (typeof example === 'string' && description.includes(`\`${example}\``));
  return example === undefined || isShown ? null : example;
}
