import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareCrossCompiler } from './cross-compiler.mjs';
import { LICENCES, MUSL_LIBRARY, thirdPartyLicences } from './licences.mjs';
import { nativePart } from './platforms.mjs';
import { root } from './run.mjs';

/** Where what is built for each platform is put. */
export const artifacts = join(root, 'artifacts');

/**
 * Builds the native part for each platform, and the program without Node where there is one, in artifacts/. The same commit gives the
 * same bytes wherever it is built with the same compiler.
 *
 * @param environment what the native part should know of its build, besides what the compiler knows
 */
export function crossBuild(platforms, environment) {
  const compiler = prepareCrossCompiler(platforms);
  mkdirSync(artifacts, { recursive: true });
  for (const platform of platforms) {
    buildNativePart(platform, compiler, environment);
    if (platform.staticProgram) buildStaticProgram(platform, compiler, environment);
  }
}

function buildNativePart(platform, compiler, environment) {
  compiler.cargo(platform, ['zigbuild', '--release', '--package', 'ttun-node'], environment);
  copyFileSync(join(compiler.built(platform), 'libttun_node.so'), join(artifacts, nativePart(platform)));
}

function buildStaticProgram(platform, compiler, environment) {
  // zig has the objects with which programs start; a library of Rust that was built from source comes without.
  const linkStatically = ['-C', 'target-feature=+crt-static', '-C', 'link-self-contained=no'];
  compiler.cargo(
    platform,
    ['rustc', '--release', '--package', 'ttun-cli', '--', ...linkStatically],
    environment,
  );
  const program = join(artifacts, platform.staticProgram);
  copyFileSync(join(compiler.built(platform), 'ttun'), program);
  writeFileSync(`${program}.${LICENCES}`, thirdPartyLicences('ttun-cli', platform.target, [MUSL_LIBRARY]));
}
