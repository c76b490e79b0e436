/** npm run schema: writes the schema by which editors check and complete configuration files. */
import { writeFile } from 'node:fs/promises';
import { jsonSchemaText, SCHEMA_FILE } from './json-schema.ts';

await writeFile(SCHEMA_FILE, await jsonSchemaText());
