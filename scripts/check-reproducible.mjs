/**
 * npm run check:reproducible: builds and packs the last commit twice, in different folders and with different caches, and compares the
 * bytes. `npm run check:reproducible -- <platform>…` does so for some platforms only.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './lib/run.mjs';
import { runScript, Stop } from './lib/stop.mjs';

await runScript(() => {
  const platforms = process.argv.slice(2);
  const around = mkdtempSync(join(tmpdir(), 'ttun-reproducible-'));
  try {
    const once = buildIn(join(around, 'once'), platforms);
    const again = buildIn(join(around, 'and-once-more'), platforms);
    return compare(once, again);
  } finally {
    rmSync(around, { recursive: true });
  }
});

/** @returns {Map<string, string>} SHA-256 of each file that is released, by its name */
function buildIn(folder, platforms) {
  const checkout = join(folder, 'ttun');
  run('git', ['clone', '--quiet', root, checkout]);
  const inside = (...args) =>
    run('npm', ['--prefix', checkout, 'run', '--silent', ...args], { CARGO_HOME: join(folder, 'cargo') });
  inside('build:platforms', '--', ...platforms);
  inside('pack', '--', '--platforms');
  return new Map(['artifacts', 'packed'].flatMap((part) => sumsOf(join(checkout, part))));
}

function sumsOf(folder) {
  const files = readdirSync(folder).sort();
  return files.map((file) => [
    file,
    createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex'),
  ]);
}

function compare(once, again) {
  console.log();
  const differing = [...once].filter(([file, sum]) => again.get(file) !== sum).map(([file]) => file);
  for (const [file, sum] of once)
    console.log(`${sum}  ${file}${differing.includes(file) ? '  differs' : ''}`);
  if (differing.length > 0) throw new Stop(`two builds of one commit differ in ${differing.join(', ')}`);
  console.log('\nTwo builds of one commit have the same bytes.');
  return 0;
}
