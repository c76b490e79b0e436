import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, run } from './run.mjs';

/**
 * Publishes the tarballs of a folder: first what others depend on, `ttun` itself last, so that nobody can install it without its native
 * part. What is published already is left alone, so that this can be run again after it failed half-way.
 *
 * @param {string[]} settings further arguments of npm
 */
export function publish(folder, settings = []) {
  const tarballs = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  for (const file of tarballs.sort((a, b) => rank(a) - rank(b))) publishOne(join(folder, file), settings);
}

/** `ttun-1.2.3.tgz` comes last. */
function rank(file) {
  return Number(/^ttun-\d/.test(file));
}

function publishOne(tarball, settings) {
  const { name, version } = JSON.parse(outputOf('tar', ['-xOf', tarball, 'package/package.json']));
  if (outputOf('npm', ['view', `${name}@${version}`, 'version', ...settings])) {
    console.log(`${name} ${version} is published already`);
    return;
  }
  // Who asks for no version gets the newest one that is no try-out.
  const tag = version.includes('-') ? 'next' : 'latest';
  run('npm', ['publish', '--silent', '--access', 'public', '--tag', tag, ...settings, tarball]);
}
