import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, run } from './run.mjs';
import { Stop } from './stop.mjs';

/** The first release of Debian with musl 1.2.5; with 1.2.3, which the one before it has, Node crashes. */
const RELEASE = 'trixie';

/**
 * Downloads musl as Debian has it, and unpacks it in a folder; nothing is installed.
 *
 * @param {string} architecture as Debian calls it
 * @returns {string} a folder with lib/ld-musl-….so.1 in it
 */
export function downloadMusl(architecture, folder) {
  const apt = join(folder, 'apt');
  for (const part of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(apt, part), { recursive: true });
  writeFileSync(join(apt, 'sources.list'), `${debianSource()}\n`);
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
  const file = readdirSync(apt).find((name) => name.endsWith('.deb'));
  const unpacked = join(folder, 'musl');
  run('dpkg-deb', ['--extract', join(apt, file), unpacked]);
  symlinkSync('usr/lib', join(unpacked, 'lib'));
  rmSync(apt, { recursive: true });
  return unpacked;
}

/** The archive from which this machine has its own packages, in the later release. */
function debianSource() {
  const filters = ['Created-By: Packages', 'Label: Debian'];
  const [site] = outputOf('apt-get', ['indextargets', '--format', '$(SITE)', ...filters])?.split('\n') ?? [];
  if (!site) throw new Stop('musl is taken from the archive of Debian, and this is not Debian');
  return `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${site} ${RELEASE} main`;
}
