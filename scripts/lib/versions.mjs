import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

/** The oldest Node that will do: `engines` in package.json. */
export function minimumNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return engines.node.replace(/^>=\s*/, '');
}

/** The oldest Rust that will do: `rust-version` in Cargo.toml. */
export function minimumRust() {
  return /^rust-version\s*=\s*"(.+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
}

/** Whether one dotted version is at least another. */
export function isAtLeast(version, minimum) {
  const parts = version.split('.').map(Number);
  for (const [index, wanted] of minimum.split('.').map(Number).entries()) {
    const has = parts[index] || 0;
    if (has !== wanted) return has > wanted;
  }
  return true;
}
