import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ensurePythonTool } from './python.mjs';
import { root, run } from './run.mjs';
import { findCompiler, hasBuiltLibrary, librarySource } from './rust-compiler.mjs';

const targetFolder = join(root, 'target', 'platforms');

/** Installs what compiles for some platforms. */
export function prepareCrossCompiler(platforms) {
  const zig = ensurePythonTool('cross');
  const compiler = findCompiler(platforms.map(({ target }) => target));
  // The folders of the crates are named in what is built, so they must be there before.
  run('cargo', ['fetch', '--locked', '--quiet']);
  return new CrossCompiler(zig, compiler);
}

/** cargo and rustc, with zig to link: for other platforms, and for an older glibc than that of this machine. */
class CrossCompiler {
  #zig;
  #compiler;

  constructor(zig, compiler) {
    this.#zig = zig;
    this.#compiler = compiler;
  }

  /** Runs a command of cargo for a platform: `cargo(platform, ['zigbuild', '--release', …])`. */
  cargo(platform, [command, ...args], environment = {}) {
    const settings = ['--locked', '--target', linkTarget(platform), ...this.#libraryFor(platform, command)];
    run('cargo-zigbuild', [command, ...settings, ...args], {
      PATH: [this.#zig, process.env.PATH].join(delimiter),
      CARGO_TARGET_DIR: targetFolder,
      CARGO_ENCODED_RUSTFLAGS: [...linkFlags(platform), ...this.#withoutPaths()].join('\u001f'),
      RUSTC: this.#compiler.compiler,
      // Building the standard library is not a stable feature of cargo.
      ...(this.#hasLibraryFor(platform) ? {} : { RUSTC_BOOTSTRAP: '1' }),
      ...environment,
    });
  }

  /** Where what was built for release is. */
  built({ target }) {
    return join(targetFolder, target, 'release');
  }

  #hasLibraryFor({ target }) {
    return hasBuiltLibrary(this.#compiler, target);
  }

  #libraryFor(platform, command) {
    if (this.#hasLibraryFor(platform)) return [];
    return [`-Zbuild-std=std,panic_unwind${command === 'test' ? ',test' : ''}`];
  }

  /** Panics name source files; without these flags by where they are on this machine. */
  #withoutPaths() {
    const registry = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'registry', 'src');
    const folders = existsSync(registry) ? readdirSync(registry) : [];
    const names = [
      [root.replace(/\/$/, ''), 'ttun'],
      ...folders.map((folder) => [join(registry, folder), 'crates']),
      [librarySource(this.#compiler), 'rust'],
    ];
    return names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`);
  }
}

/** As cargo-zigbuild wants it: with the glibc that has to do. */
function linkTarget({ target, oldestGlibc }) {
  return oldestGlibc === undefined ? target : `${target}.${oldestGlibc}`;
}

/** Rust links programs for musl statically unless told otherwise, and libraries that Node is to load can't be. */
function linkFlags({ target }) {
  return target.endsWith('-musl') ? ['-C', 'target-feature=-crt-static'] : [];
}
