/** npm run manual: writes the pages that are made from the specs of the commands. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { makePages } from './pages.ts';

for (const [path, text] of await makePages()) {
  await writeFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
  console.log(path);
}
