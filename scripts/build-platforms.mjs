/**
 * npm run build:platforms: builds the native part for every platform, and the static programs, in artifacts/.
 * `npm run build:platforms -- <name>…` builds for some platforms only.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LICENCES, MUSL, thirdPartyLicences } from './lib/licences.mjs';
import { nativePart, PLATFORMS } from './lib/platforms.mjs';
import { outputOf, root, run, runScript, Stop } from './lib/run.mjs';
import { cargoHome, checkCompilers, commitEnvironment, ensurePython, installPackages } from './lib/setup.mjs';

const artifacts = join(root, 'artifacts');
const targetFolder = join(root, 'target', 'platforms');
const tools = join(root, 'tools', 'cross');

/** The newest Rust of Debian, which also has the source of the standard library. */
const DEBIAN_RUST = { rustc: '/usr/bin/rustc', packages: ['rustc-web', 'rust-web-src'] };

await runScript(() => {
  const platforms = choose(process.argv.slice(2));
  checkCompilers();
  // zig links for other platforms, and for an older glibc than this machine's.
  const zig = ensurePython(join(tools, 'requirements.txt'), join(tools, 'downloaded'));
  const compiler = findCompiler(platforms.map(({ target }) => target));
  // Its folders must exist before their paths can be removed from the build.
  run('cargo', ['fetch', '--locked', '--quiet']);
  mkdirSync(artifacts, { recursive: true });
  for (const platform of platforms) {
    const { target, staticProgram } = platform;
    const cargo = (args) => runCargo(args, platform, zig, compiler);
    cargo(['zigbuild', '--release', '--package', 'ttun-node']);
    const built = join(targetFolder, target, 'release');
    copyFileSync(join(built, 'libttun_node.so'), join(artifacts, nativePart(platform)));
    if (staticProgram === undefined) continue;
    // zig has the startup objects; a standard library built from source has none.
    const options = ['-C', 'target-feature=+crt-static', '-C', 'link-self-contained=no'];
    cargo(['rustc', '--release', '--package', 'ttun-cli', '--', ...options]);
    copyFileSync(join(built, 'ttun'), join(artifacts, staticProgram));
    const licences = thirdPartyLicences('ttun-cli', target, [MUSL]);
    writeFileSync(join(artifacts, `${staticProgram}.${LICENCES}`), licences);
  }
  return 0;
});

function choose(names) {
  const known = PLATFORMS.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Stop(`unknown: ${unknown.join(', ')}; the platforms are ${known.join(', ')}`);
  return names.length === 0 ? PLATFORMS : PLATFORMS.filter(({ name }) => names.includes(name));
}

function runCargo([command, ...args], { target, oldestGlibc }, zig, compiler) {
  const linkTarget = oldestGlibc === undefined ? target : `${target}.${oldestGlibc}`;
  const buildLibrary = compiler.hasLibrary(target) ? [] : ['-Zbuild-std=std,panic_unwind'];
  // Rust links statically for musl by default, which is not possible for a library that Node loads.
  const dynamic = target.endsWith('-musl') ? ['-C', 'target-feature=-crt-static'] : [];
  run('cargo-zigbuild', [command, '--locked', '--target', linkTarget, ...buildLibrary, ...args], {
    PATH: [zig, process.env.PATH].join(delimiter),
    CARGO_TARGET_DIR: targetFolder,
    CARGO_ENCODED_RUSTFLAGS: [...dynamic, ...withoutPaths(compiler)].join('\u001f'),
    RUSTC: compiler.rustc,
    // Building the standard library is not a stable feature of cargo.
    ...(buildLibrary.length > 0 && { RUSTC_BOOTSTRAP: '1' }),
    ...commitEnvironment(),
  });
}

/** Panic messages contain paths of source files; these options remove the folders of this machine. */
function withoutPaths({ source }) {
  const registry = join(cargoHome(), 'registry', 'src');
  const folders = existsSync(registry) ? readdirSync(registry) : [];
  const names = [
    [root.replace(/\/$/, ''), 'ttun'],
    ...folders.map((folder) => [join(registry, folder), 'crates']),
    [source, 'rust'],
  ];
  return names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`);
}

/** The compiler on the PATH, or else Debian's: one that has the standard library for every target, built or as source. */
function findCompiler(targets) {
  const found = usableCompiler('rustc', targets) ?? usableCompiler(DEBIAN_RUST.rustc, targets);
  if (found) return found;
  installPackages(DEBIAN_RUST.packages);
  const installed = usableCompiler(DEBIAN_RUST.rustc, targets);
  if (installed) return installed;
  throw new Stop(
    `Rust has no standard library for ${targets.join(' and ')}: rustup target add ${targets.join(' ')} (or, on Debian, apt-get install ${DEBIAN_RUST.packages.join(' ')})`,
  );
}

function usableCompiler(rustc, targets) {
  const sysroot = outputOf(rustc, ['--print', 'sysroot']);
  if (sysroot === null) return null;
  const source = join(sysroot, 'lib', 'rustlib', 'src', 'rust');
  const hasSource = existsSync(join(source, 'library', 'Cargo.lock'));
  const hasLibrary = (target) => {
    const folder = join(sysroot, 'lib', 'rustlib', target, 'lib');
    return existsSync(folder) && readdirSync(folder).some((file) => file.startsWith('libstd-'));
  };
  return targets.every((target) => hasSource || hasLibrary(target)) ? { rustc, source, hasLibrary } : null;
}
