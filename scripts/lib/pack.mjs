import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.mjs';
import { Stop } from './stop.mjs';

const packed = join(root, 'packed');
const staged = join(packed, 'staged');

/** Makes in packed/ the tarballs that npm would publish, of what has been built. */
export function pack() {
  rmSync(packed, { recursive: true, force: true });
  stageRoot(stagePlatforms());
  for (const folder of readdirSync(staged)) {
    run('npm', ['pack', '--silent', '--pack-destination', packed, join(staged, folder)]);
  }
  rmSync(staged, { recursive: true });
}

/** Puts each built native part beside its manifest. */
function stagePlatforms() {
  const platforms = [];
  for (const platform of readdirSync(join(root, 'npm'))) {
    const manifest = readManifest(join(root, 'npm', platform));
    if (!existsSync(join(root, manifest.main))) continue;
    cpSync(join(root, 'npm', platform), join(staged, platform), { recursive: true });
    cpSync(join(root, 'LICENSE'), join(staged, platform, 'LICENSE'));
    cpSync(join(root, manifest.main), join(staged, platform, manifest.main));
    platforms.push(manifest);
  }
  if (platforms.length === 0) throw new Stop('no native part has been built for any platform under npm/');
  return platforms;
}

/** The package as users get it: what only developers need is left out, the platform packages are wanted in exactly this version. */
function stageRoot(platforms) {
  const { devDependencies: _tools, scripts: _scripts, ava: _tests, ...manifest } = readManifest(root);
  manifest.optionalDependencies = Object.fromEntries(platforms.map(({ name, version }) => [name, version]));
  const folder = join(staged, 'root');
  mkdirSync(folder, { recursive: true });
  for (const file of [...manifest.files, 'README.md', 'LICENSE']) {
    if (!existsSync(join(root, file))) throw new Stop(`${file}, which the package should hold, is not there`);
    cpSync(join(root, file), join(folder, file), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}
