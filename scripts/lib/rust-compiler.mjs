import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './run.mjs';
import { Stop } from './stop.mjs';
import { installWhereAllowed } from './tools.mjs';

/** Debian's newest Rust, which it keeps for building browsers. */
const DEBIAN_RUST = { compiler: '/usr/bin/rustc', packages: ['rustc-web', 'rust-web-src'] };

/**
 * A compiler that can build for all these targets, since each has the standard library for it, built or as source: the one on the PATH,
 * or else Debian's.
 *
 * @returns {{ compiler: string, sysroot: string }}
 */
export function findCompiler(targets) {
  const found = usable('rustc', targets) ?? usable(DEBIAN_RUST.compiler, targets);
  if (found) return found;
  installWhereAllowed(DEBIAN_RUST.packages);
  const installed = usable(DEBIAN_RUST.compiler, targets);
  if (installed) return installed;
  throw new Stop(
    `the standard library of Rust is missing for ${targets.join(' and ')}: rustup target add ${targets.join(' ')} (or, on Debian, apt-get install ${DEBIAN_RUST.packages.join(' ')})`,
  );
}

/** Whether the standard library of a target came with the compiler, rather than its source alone. */
export function hasBuiltLibrary({ sysroot }, target) {
  const folder = join(sysroot, 'lib', 'rustlib', target, 'lib');
  return existsSync(folder) && readdirSync(folder).some((file) => file.startsWith('libstd-'));
}

/** Where the source of the standard library is. */
export function librarySource({ sysroot }) {
  return join(sysroot, 'lib', 'rustlib', 'src', 'rust');
}

function usable(compiler, targets) {
  const sysroot = outputOf(compiler, ['--print', 'sysroot']);
  if (sysroot === null) return null;
  const found = { compiler, sysroot };
  const hasSource = existsSync(join(librarySource(found), 'library', 'Cargo.lock'));
  return targets.every((target) => hasSource || hasBuiltLibrary(found, target)) ? found : null;
}
