/**
 * npm run pack: builds, and creates the tarballs of `ttun` and of the native part for this machine in packed/. With `-- --built` it packs
 * the last build; with `-- --platforms` what `npm run build:platforms` has built, as it is published.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LICENCES, thirdPartyLicences } from './lib/licences.mjs';
import { nativePart, PLATFORMS } from './lib/platforms.mjs';
import { root, run, runScript, Stop } from './lib/run.mjs';
import { build, checkCompilers, commitEnvironment, ensureDependencies } from './lib/setup.mjs';

const packed = join(root, 'packed');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

await runScript(() => {
  checkCompilers();
  ensureDependencies();
  if (!process.argv.includes('--built')) build(commitEnvironment());
  const folder = process.argv.includes('--platforms') ? join(root, 'artifacts') : root;
  const platforms = PLATFORMS.filter((platform) => existsSync(join(folder, nativePart(platform))));
  if (platforms.length === 0) throw new Stop(`there is no native part in ${folder}`);
  rmSync(packed, { recursive: true, force: true });
  for (const platform of platforms) packPlatform(platform, folder);
  packTtun(platforms);
  return 0;
});

/** The published package is created only here, which is why package.json of the checkout is `private`. */
function packTtun(platforms) {
  const { private: _checkout, devDependencies: _tools, scripts: _scripts, napi: _build, ...rest } = manifest;
  const optionalDependencies = Object.fromEntries(
    platforms.map(({ name }) => [packageName(name), manifest.version]),
  );
  pack('ttun', { ...rest, optionalDependencies }, (stage) => {
    for (const file of ['README.md', ...manifest.files]) {
      if (!existsSync(join(root, file))) throw new Stop(`${file} is missing, but belongs in the package`);
      cpSync(join(root, file), join(stage, file), { recursive: true });
    }
  });
}

function packPlatform(platform, folder) {
  const { name, target } = platform;
  const [os, cpu, abi] = name.split('-');
  const file = nativePart(platform);
  const { version, license, engines, repository, publishConfig } = manifest;
  const common = { version, license, engines, repository, publishConfig, type: 'commonjs' };
  const libc = abi === 'gnu' ? 'glibc' : 'musl';
  const description = `The native part of ttun for ${os} on ${cpu} with ${libc}`;
  const only = { os: [os], cpu: [cpu], libc: [libc], main: file, files: [file, LICENCES] };
  pack(name, { name: packageName(name), description, ...common, ...only }, (stage) => {
    copyFileSync(join(folder, file), join(stage, file));
    writeFileSync(join(stage, LICENCES), thirdPartyLicences('ttun-node', target));
    writeFileSync(
      join(stage, 'README.md'),
      `# ${packageName(name)}\n\n${description}. Install \`ttun\` instead.\n`,
    );
  });
}

function packageName(platform) {
  return `@ttun/binding-${platform}`;
}

function pack(name, content, fill) {
  const stage = join(packed, 'stage', name);
  mkdirSync(stage, { recursive: true });
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
  copyFileSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
  fill(stage);
  run('npm', ['pack', '--silent', '--pack-destination', packed, stage]);
  rmSync(join(packed, 'stage'), { recursive: true });
}
