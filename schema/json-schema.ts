/** The JSON Schema of configuration files, made from the schema by which they are checked. */
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import { format } from 'prettier';
import { fileSchema } from '../src/config/schema.ts';

/** Where it is kept, and found in the package. */
export const SCHEMA_FILE: string = fileURLToPath(new URL('ttun.schema.json', import.meta.url));

/** What code alone can check is left out: the schema lets pass a little more than ttun does. */
export async function jsonSchemaText(): Promise<string> {
  const schema = toJsonSchema(
    fileSchema(() => 1),
    {
      typeMode: 'input',
      ignoreActions: ['raw_check'],
      target: 'draft-07',
    },
  );
  return format(JSON.stringify(schema), { parser: 'json', printWidth: 110 });
}
