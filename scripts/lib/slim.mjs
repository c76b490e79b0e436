import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';

/**
 * Leaves out of a staged package what its users have no use for, half of it: comments and indentation of programs and style sheets, and
 * declarations of what is not exported. Names and files stay as they are, so that stack traces can be read.
 */
export function slim(folder) {
  removePrivateDeclarations(folder);
  // Not there yet when this file is loaded in a fresh checkout.
  const { transformSync } = createRequire(import.meta.url)('esbuild');
  for (const file of filesBelow(folder)) {
    const loader = LOADERS[extname(file)];
    if (loader === undefined) continue;
    writeFileSync(file, transformSync(readFileSync(file, 'utf8'), { ...COMPACT, loader }).code);
  }
}

/** An error that ends a program shows its line, so that lines have an end. */
const COMPACT = { minifyWhitespace: true, legalComments: 'none', lineLimit: 120 };

const LOADERS = { '.js': 'js', '.css': 'css' };

function removePrivateDeclarations(folder) {
  const reached = new Set();
  reachDeclarations(join(folder, 'dist', 'index.d.ts'), reached);
  for (const file of filesBelow(folder)) {
    if (file.endsWith('.d.ts') && !reached.has(file)) rmSync(file);
  }
}

/** Follows the imports of a declaration file, which name the sources. */
function reachDeclarations(file, reached) {
  if (reached.has(file)) return;
  reached.add(file);
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?['"](\.[^'"]+)['"]/g)) {
    const declaration = join(file, '..', path.replace(/\.[jt]s$/, '.d.ts'));
    if (existsSync(declaration)) reachDeclarations(declaration, reached);
  }
}

function filesBelow(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
