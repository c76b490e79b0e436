/** What can be tried in the documentation: code blocks and command lines. */
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Document {
  /** Its path in the checkout. */
  readonly path: string;
  readonly text: string;
}

/** The README and all pages of docs/. */
export async function readDocuments(): Promise<Document[]> {
  const pages = (await readdir(`${ROOT}docs`))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  const paths = ['README.md', 'CONTRIBUTING.md', ...pages];
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(ROOT + path, 'utf8') })));
}

export async function readReadme(): Promise<string> {
  return readFile(`${ROOT}README.md`, 'utf8');
}

/** The blocks of code in this language. */
export function blocksOf(text: string, language: string): string[] {
  const blocks = text.matchAll(/^( *)```(\w*)\n(.*?)^\1```$/gms);
  return [...blocks].filter(([, , name]) => name === language).map(([, , , code = '']) => code);
}

/** The command lines that a reader types, without comments. */
export function commandsIn(text: string): string[] {
  return blocksOf(text, 'console')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line.startsWith('$ '))
    .map((line) => line.slice(2).replace(/\s+#.*$/, ''));
}

/** The section under a second-level heading. */
export function section(text: string, heading: string): string {
  const [, found = ''] = `\n${text}`.split(`\n## ${heading}\n`);
  return found.split('\n## ', 1)[0] ?? '';
}
