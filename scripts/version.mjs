/**
 * Run by `npm version`: with `--check` before it changes anything; then after it has set the version in package.json and before it
 * commits, to set it everywhere else.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, runScript, Stop } from './lib/run.mjs';

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
  const date = new Date().toISOString().slice(0, 10);
  rewrite('CHANGELOG.md', UNRELEASED, `${UNRELEASED}\n## [${version}] - ${date}\n`);
  run('npm', ['run', '--silent', 'manual']);
  run('git', ['add', '--update']);
}

function checkChangelog() {
  const [, unreleased] = read('CHANGELOG.md').split(UNRELEASED);
  if (unreleased === undefined) throw new Stop(`CHANGELOG.md has no line ${UNRELEASED.trim()}`);
  if (!/^[-*] /m.test(unreleased.split(/^## /m, 1)[0])) {
    throw new Stop('CHANGELOG.md lists nothing under Unreleased: add what users will notice');
  }
}

function rewrite(file, from, to) {
  const text = read(file);
  const rewritten = text.replace(from, to);
  if (rewritten === text) throw new Stop(`the version could not be set in ${file}; undo with: git restore .`);
  writeFileSync(join(root, file), rewritten);
}

function read(file) {
  return readFileSync(join(root, file), 'utf8');
}
