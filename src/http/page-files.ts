/** The files of the page, which browsers load as they are. */
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Content } from './routes.ts';

/** Beside `src` and `dist` alike. */
const FOLDER = new URL('../../page/', import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page by the paths at which it is served. Read once: what is served is what was there at the start. */
export async function readPage(): Promise<ReadonlyMap<string, Content>> {
  const names = await readdir(FOLDER);
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[path: string, content: Content]> => {
        const type = TYPES[extname(name)] ?? 'application/octet-stream';
        const path = name === 'index.html' ? '/' : `/page/${name}`;
        return [path, { type, body: await readFile(new URL(name, FOLDER)) }];
      }),
    ),
  );
}
