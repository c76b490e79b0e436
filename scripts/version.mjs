/**
 * What `npm version` runs: with `--check` before it changes anything, else after it has set the version in package.json and before it
 * commits. All that carries the version is then given it, and is part of the commit.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './lib/run.mjs';
import { runScript, Stop } from './lib/stop.mjs';

const UNRELEASED = '## [Unreleased]\n';

await runScript(() => {
  checkChangelog();
  if (!process.argv.includes('--check')) setVersion(JSON.parse(read('package.json')).version);
  return 0;
});

function setVersion(version) {
  rewrite('src/native.ts', /(?<=VERSION = ').*(?=')/, version);
  rewrite('Cargo.toml', /^version = ".*"/m, `version = "${version}"`);
  run('cargo', ['update', '--workspace', '--offline', '--quiet']);
  run('npx', ['napi', 'version']);
  rewrite(
    'CHANGELOG.md',
    UNRELEASED,
    `${UNRELEASED}\n## [${version}] - ${new Date().toISOString().slice(0, 10)}\n`,
  );
  run('npm', ['run', '--silent', 'manual']);
  run('git', ['add', '--update']);
}

/** A version that has nothing to say is a mistake. */
function checkChangelog() {
  const [, unreleased] = read('CHANGELOG.md').split(UNRELEASED);
  if (unreleased === undefined) throw new Stop(`CHANGELOG.md has no line ${UNRELEASED.trim()}`);
  if (!/^[-*] /m.test(unreleased.split(/^## /m, 1)[0])) {
    throw new Stop('CHANGELOG.md tells nothing under Unreleased: write there what users will notice');
  }
}

function rewrite(file, from, to) {
  const text = read(file);
  const rewritten = text.replace(from, to);
  if (rewritten === text)
    throw new Stop(`${file} could not be given the version; git restore . takes all back`);
  writeFileSync(join(root, file), rewritten);
}

function read(file) {
  return readFileSync(join(root, file), 'utf8');
}
