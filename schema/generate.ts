/** npm run schema: writes the files generated from the schema of the options. */
import { writeFile } from 'node:fs/promises';
import { INTERFACES_FILE, interfacesText } from './interfaces.ts';
import { jsonSchemaText, SCHEMA_FILE } from './json-schema.ts';
import { PAGE_FILE, pageText } from './tables.ts';

await writeFile(INTERFACES_FILE, await interfacesText());
await writeFile(SCHEMA_FILE, await jsonSchemaText());
await writeFile(PAGE_FILE, await pageText());
