import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { outputOf, run } from './run.mjs';
import { Stop } from './stop.mjs';
import { isAtLeast, minimumNode, minimumRust } from './versions.mjs';

/**
 * Whether a program can be started by its name. What npm has put on the PATH does not count: packages bring commands of
 * the same names (nft, for one).
 */
export function hasTool(name) {
  const folders = process.env.PATH.split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.some((folder) => isExecutable(join(folder, name)));
}

/** Stops with the line to type where a tool is missing. */
export function checkTool(name, aptPackage) {
  if (!hasTool(name)) throw new Stop(`${name} is missing: ${installLine(aptPackage)}`);
}

/** Installs a tool where it is missing and we may, as root on Debian or Ubuntu; stops with the line to type elsewhere. */
export function requireTool(name, aptPackage) {
  if (!hasTool(name)) installWhereAllowed([aptPackage]);
  checkTool(name, aptPackage);
}

/** As `requireTool`, of what is no program. */
export function requireFile(path, aptPackage) {
  if (!existsSync(path)) installWhereAllowed([aptPackage]);
  if (!existsSync(path)) throw new Stop(`${path} is missing: ${installLine(aptPackage)}`);
}

/** Installs packages where we may, as root on Debian or Ubuntu. */
export function installWhereAllowed(aptPackages) {
  if (!mayInstall()) return;
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], quiet);
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...aptPackages], quiet);
}

/** Stops unless Node, Rust and its linker are here. */
export function checkCompilers() {
  if (!isAtLeast(process.versions.node, minimumNode())) {
    throw new Stop(
      `Node ${minimumNode()} or later is needed, this is ${process.versions.node}: https://nodejs.org`,
    );
  }
  findRustup();
  const rust = outputOf('rustc', ['--version']);
  const hint = `Rust ${minimumRust()} or later is needed: https://rustup.rs (or apt-get install cargo, where that is new enough)`;
  if (rust === null || !hasTool('cargo')) throw new Stop(`cargo is missing. ${hint}`);
  const [, version] = rust.split(' ');
  if (!isAtLeast(version, minimumRust())) throw new Stop(`Rust ${version} is too old. ${hint}`);
  if (!hasTool('cc'))
    throw new Stop(`cc, the linker that Rust uses, is missing: ${installLine('gcc libc6-dev')}`);
}

/** Right after its installation by rustup, Rust is not on the PATH of shells that were open before. */
function findRustup() {
  const folder = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'bin');
  if (!hasTool('cargo') && isExecutable(join(folder, 'cargo'))) process.env.PATH += delimiter + folder;
}

function mayInstall() {
  return process.getuid() === 0 && hasTool('apt-get') && isDebianLike();
}

function isDebianLike() {
  try {
    return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

function installLine(aptPackage) {
  const sudo = process.getuid() === 0 ? '' : 'sudo ';
  return `${sudo}apt-get install ${aptPackage} (or what your distribution calls it)`;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
