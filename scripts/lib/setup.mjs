/** Prerequisites of scripts: compilers, system programs, npm packages, and a build. */
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { outputOf, root, run, Stop } from './run.mjs';

/** Stops unless Node, Rust and its linker are here. */
export function checkCompilers() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const oldestNode = engines.node.replace('>=', '');
  const { node } = process.versions;
  if (!isAtLeast(node, oldestNode)) {
    throw new Stop(`Node ${oldestNode} or later is required, but this is ${node}: https://nodejs.org`);
  }
  const oldestRust = /^rust-version\s*=\s*"(.+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
  const hint = `Rust ${oldestRust} or later is required: https://rustup.rs (or apt-get install cargo, if that is new enough)`;
  // Shells that were open when rustup installed Rust do not have it on the PATH.
  if (!hasTool('cargo')) process.env.PATH += delimiter + join(cargoHome(), 'bin');
  const rust = outputOf('rustc', ['--version']);
  if (rust === null || !hasTool('cargo')) throw new Stop(`cargo is missing. ${hint}`);
  const [, version] = rust.split(' ');
  if (!isAtLeast(version, oldestRust)) throw new Stop(`Rust ${version} is too old. ${hint}`);
  requireTools({ cc: 'gcc libc6-dev' }, 'check');
}

/** Where cargo keeps its programs and the sources of crates. */
export function cargoHome() {
  return process.env.CARGO_HOME || join(homedir(), '.cargo');
}

/** Whether one dotted version is at least another. */
function isAtLeast(version, minimum) {
  return version.localeCompare(minimum, 'en', { numeric: true }) >= 0;
}

/**
 * Installs programs that are missing, as root on Debian or Ubuntu; elsewhere, or to `check` only, stops with the command to type.
 *
 * @param {Record<string, string>} tools names of programs or paths of files, and the Debian packages that contain them
 */
export function requireTools(tools, mode = 'install') {
  const missing = () => Object.entries(tools).filter(([name]) => !isThere(name));
  if (mode === 'install' && missing().length > 0)
    installPackages(missing().map(([, aptPackage]) => aptPackage));
  const [still] = missing();
  if (still === undefined) return;
  const sudo = process.getuid() === 0 ? '' : 'sudo ';
  throw new Stop(
    `${still[0]} is missing: ${sudo}apt-get install ${still[1]} (or the package of your distribution)`,
  );
}

/** Installs Debian packages, as root on Debian or Ubuntu; does nothing elsewhere. */
export function installPackages(names) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (process.getuid() !== 0 || !/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release)) return;
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], quiet);
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...names], quiet);
}

function isThere(name) {
  return name.includes('/') ? existsSync(name) : hasTool(name);
}

/** Whether a program is on the PATH. Commands of npm packages do not count: some have the same names (nft, for one). */
export function hasTool(name) {
  const folders = process.env.PATH.split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs the npm packages, unless that has been done since package-lock.json last changed. */
export function ensureDependencies(folder = root) {
  const modifiedAt = (path) => statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // npm writes this file when it is done.
  if (modifiedAt('node_modules/.package-lock.json') >= modifiedAt('package-lock.json')) return;
  run('npm', ['ci', '--prefix', folder]);
}

/**
 * Installs the packages of tools/<name>, which are apart because they need other versions than the rest.
 *
 * @returns {string} the folder
 */
export function ensureTool(name) {
  const folder = join(root, 'tools', name);
  ensureDependencies(folder);
  return folder;
}

/**
 * Installs Python packages in a virtual environment.
 *
 * @returns {string} the folder of their programs
 */
export function ensurePython(requirements, environment) {
  const wanted = readFileSync(requirements, 'utf8');
  // Written when everything is complete.
  const installed = join(environment, 'installed.txt');
  if (!existsSync(installed) || readFileSync(installed, 'utf8') !== wanted) {
    requireTools({ python3: 'python3' });
    if (outputOf('python3', ['-c', 'import ensurepip']) === null) installPackages(['python3-venv']);
    run('python3', ['-m', 'venv', '--clear', environment]);
    const pip = join(environment, 'bin', 'pip');
    run(pip, ['install', '--quiet', '--require-hashes', '--requirement', requirements]);
    writeFileSync(installed, wanted);
  }
  return join(environment, 'bin');
}

/** Builds the native part and the TypeScript. Takes a second or two if nothing has changed. */
export function build(environment = {}) {
  run('npm', ['run', '--silent', 'build:native'], environment);
  run('npm', ['run', '--silent', 'build:ts']);
}

/** The environment for a build to be packed: `ttun --version` prints the commit. Each new commit links the native part again. */
export function commitEnvironment() {
  const commit = outputOf('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']);
  return { TTUN_COMMIT: commit ?? '' };
}
