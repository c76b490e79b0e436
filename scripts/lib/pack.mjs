import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LICENCES, thirdPartyLicences } from './licences.mjs';
import { nativePart, PLATFORMS } from './platforms.mjs';
import { root, run } from './run.mjs';
import { slim } from './slim.mjs';
import { Stop } from './stop.mjs';

/** Where the tarballs are put. */
export const packed = join(root, 'packed');
const staged = join(packed, 'staged');

/**
 * Makes in packed/ the tarballs that npm publishes: the package, and one for each platform whose native part is in a folder.
 *
 * @param {string} folder where the native parts were built: the root of the checkout, or artifacts/
 */
export function pack(folder) {
  const platforms = PLATFORMS.filter((platform) => existsSync(join(folder, nativePart(platform))));
  if (platforms.length === 0) throw new Stop(`no native part has been built in ${folder}`);
  rmSync(packed, { recursive: true, force: true });
  stageRoot(platforms);
  for (const platform of platforms) stagePlatform(platform, folder);
  // Has the package want each of the others in exactly this version.
  run('npx', ['napi', 'pre-publish', '--skip-optional-publish', '--no-gh-release', '--cwd', staged]);
  rewriteManifest(staged, withoutDeveloping);
  for (const ready of [...platforms.map(({ name }) => join(staged, 'npm', name)), staged]) {
    run('npm', ['pack', '--silent', '--pack-destination', packed, ready]);
  }
  rmSync(staged, { recursive: true });
}

/** The package as it is in the checkout, but for the platforms that were not built. */
function stageRoot(platforms) {
  mkdirSync(staged, { recursive: true });
  const manifest = readManifest(root);
  for (const file of ['package.json', 'README.md', 'LICENSE', ...manifest.files]) {
    if (!existsSync(join(root, file))) throw new Stop(`${file}, which the package should hold, is not there`);
    cpSync(join(root, file), join(staged, file), { recursive: true });
  }
  slim(staged);
  const targets = platforms.map(({ target }) => target);
  rewriteManifest(staged, ({ napi, ...rest }) => ({ ...rest, napi: { ...napi, targets } }));
}

/** The native part beside its manifest, with the licences of what is linked into it. */
function stagePlatform(platform, folder) {
  const { name, target } = platform;
  const [stagedPlatform, file] = [join(staged, 'npm', name), nativePart(platform)];
  cpSync(join(root, 'npm', name), stagedPlatform, { recursive: true });
  cpSync(join(root, 'LICENSE'), join(stagedPlatform, 'LICENSE'));
  cpSync(join(folder, file), join(stagedPlatform, file));
  writeFileSync(join(stagedPlatform, LICENCES), thirdPartyLicences('ttun-node', target));
  rewriteManifest(stagedPlatform, ({ files, ...rest }) => ({
    ...rest,
    type: 'commonjs',
    files: [...files, LICENCES],
  }));
}

/** What is published is made here alone, hence the `private` of the checkout. */
function withoutDeveloping(manifest) {
  const { private: _checkout, devDependencies: _tools, scripts: _scripts, napi: _build, ...rest } = manifest;
  return rest;
}

function rewriteManifest(folder, rewrite) {
  const text = `${JSON.stringify(rewrite(readManifest(folder)), null, 2)}\n`;
  writeFileSync(join(folder, 'package.json'), text);
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}
