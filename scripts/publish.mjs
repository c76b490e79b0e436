/**
 * node scripts/publish.mjs <folder> [option of npm]…: publishes the tarballs in a folder, `ttun` last, so that no one can install it
 * without its native part. Skips versions that are already published, so it can be run again after a failure.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, run, runScript, Stop } from './lib/run.mjs';

await runScript(() => {
  const [folder, ...options] = process.argv.slice(2);
  if (folder === undefined)
    throw new Stop('give the folder of the tarballs: node scripts/publish.mjs packed');
  const tarballs = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  for (const file of tarballs.sort((a, b) => rank(a) - rank(b))) publish(join(folder, file), options);
  return 0;
});

function rank(file) {
  return Number(/^ttun-\d/.test(file));
}

function publish(tarball, options) {
  const { name, version } = JSON.parse(outputOf('tar', ['-xOf', tarball, 'package/package.json']));
  if (outputOf('npm', ['view', `${name}@${version}`, 'version', ...options])) {
    console.log(`${name} ${version} is already published`);
    return;
  }
  // `npm install ttun` takes the newest release, never a prerelease.
  const tag = version.includes('-') ? 'next' : 'latest';
  run('npm', ['publish', '--silent', '--access', 'public', '--tag', tag, ...options, tarball]);
}
