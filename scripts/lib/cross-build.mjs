import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ensurePythonTool } from './python.mjs';
import { root, run } from './run.mjs';
import { findCompiler, hasBuiltLibrary, librarySource } from './rust-compiler.mjs';

/** Where what is built for each platform is put. */
export const artifacts = join(root, 'artifacts');

const targetFolder = join(root, 'target', 'platforms');

/**
 * Builds the native part for each platform, and the program without Node where there is one, in artifacts/. The same commit gives the
 * same bytes wherever it is built with the same compiler.
 *
 * @param environment what the native part should know of its build, besides what the compiler knows
 */
export function crossBuild(platforms, environment) {
  const zig = ensurePythonTool('cross');
  const compiler = findCompiler(platforms.map(({ target }) => target));
  // The folders of its packages are named in what is built, so they must be there before.
  run('cargo', ['fetch', '--locked', '--quiet']);
  mkdirSync(artifacts, { recursive: true });
  for (const platform of platforms) {
    const cargo = cargoFor(platform, compiler, {
      ...environment,
      PATH: [zig, process.env.PATH].join(delimiter),
    });
    buildNativePart(platform, cargo);
    if (platform.staticProgram) buildStaticProgram(platform, cargo);
  }
}

function buildNativePart(platform, cargo) {
  cargo(['zigbuild', '--package', 'ttun-node', '--target', linkTarget(platform)]);
  copyFileSync(join(built(platform), 'libttun_node.so'), join(artifacts, `ttun.${platform.name}.node`));
}

function buildStaticProgram(platform, cargo) {
  const linkStatically = ['--', '-C', 'target-feature=+crt-static'];
  cargo(['rustc', '--package', 'ttun-cli', '--target', linkTarget(platform)], linkStatically);
  copyFileSync(join(built(platform), 'ttun'), join(artifacts, platform.staticProgram));
}

/** As cargo-zigbuild wants it: with the glibc that has to do. */
function linkTarget({ target, oldestGlibc }) {
  return oldestGlibc === undefined ? target : `${target}.${oldestGlibc}`;
}

function built({ target }) {
  return join(targetFolder, target, 'release');
}

/** What runs cargo-zigbuild for one platform. */
function cargoFor({ target }, compiler, environment) {
  const ownLibrary = hasBuiltLibrary(compiler, target) ? [] : ['-Zbuild-std=std,panic_unwind'];
  const variables = {
    ...environment,
    CARGO_TARGET_DIR: targetFolder,
    CARGO_ENCODED_RUSTFLAGS: [...linkFlags(target), ...withoutPaths(compiler)].join('\u001f'),
    RUSTC: compiler.compiler,
    // Building the standard library is not a stable feature of cargo.
    ...(ownLibrary.length > 0 && { RUSTC_BOOTSTRAP: '1' }),
  };
  return ([command, ...options], last = []) =>
    run('cargo-zigbuild', [command, '--release', '--locked', ...ownLibrary, ...options, ...last], variables);
}

/** Rust links programs for musl statically unless told otherwise, and libraries that Node is to load can't be. */
function linkFlags(target) {
  return target.endsWith('-musl') ? ['-C', 'target-feature=-crt-static'] : [];
}

/** Panics name source files; without these flags by where they are on this machine. */
function withoutPaths(compiler) {
  const registry = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'registry', 'src');
  const folders = existsSync(registry) ? readdirSync(registry) : [];
  const names = [
    [root.replace(/\/$/, ''), 'ttun'],
    ...folders.map((folder) => [join(registry, folder), 'crates']),
    [librarySource(compiler), 'rust'],
  ];
  return names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`);
}
