/** The licences of code linked into a published file, which must be included with it. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputOf, Stop } from './run.mjs';

/** The file that contains them. */
export const LICENCES = 'THIRD-PARTY-LICENSES.txt';

const RUST = {
  title: 'The Rust standard library, MIT OR Apache-2.0',
  text: mit('The Rust Project contributors'),
};

/** Linked into static programs. */
export const MUSL = { title: 'musl libc, MIT', text: mit('2005-2020 Rich Felker, et al.') };

/** The licences of a package of this workspace, built for a target, and of `others` that are linked into it. */
export function thirdPartyLicences(packageName, target, others = []) {
  const titles = new Map([RUST, ...others].map(({ title, text }) => [text, [title]]));
  for (const crate of linkedCrates(packageName, target)) {
    for (const text of licenceTexts(crate)) {
      titles.set(text, [...(titles.get(text) ?? []), `${crate.name} ${crate.version}, ${crate.license}`]);
    }
  }
  const sections = [...titles].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  const introduction = 'The code linked into this file in addition to ttun itself, and its licences.\n';
  return [introduction, ...sections].join(`\n${'-'.repeat(80)}\n\n`);
}

/** Without crates that run only while compiling: macros and build scripts. */
function linkedCrates(packageName, target) {
  const tree = ['tree', '--package', packageName, '--target', target];
  const lines = cargo(...tree, '--edges', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}');
  // `libc v0.2.191`; our own crates have their folder behind that.
  const linked = new Set(lines.split('\n').map((line) => line.replace(/ \(\*\)$/, '')));
  const { packages } = JSON.parse(cargo('metadata', '--format-version', '1', '--filter-platform', target));
  return packages.filter(({ name, version }) => linked.has(`${name} v${version}`));
}

function cargo(...args) {
  const output = outputOf('cargo', [...args, '--locked']);
  if (output === null) throw new Stop(`\`cargo ${args.join(' ')}\` failed`);
  return output;
}

/** Of several licences to choose from, MIT, which is the shortest; otherwise all. */
function licenceTexts({ name, manifest_path: manifest, license, authors }) {
  const folder = dirname(manifest);
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file));
  const ofMit = license.includes('MIT') ? files.filter((file) => /mit/i.test(file)) : [];
  const chosen = ofMit.length > 0 ? ofMit : files;
  if (chosen.length > 0) return chosen.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (license === 'MIT') return [mit(authors.join(', '))];
  throw new Stop(`the crate ${name} does not contain its licence, ${license}, which must be passed on`);
}

/** The MIT licence, for crates without a file of it: the text in our own, with their names. */
function mit(holders) {
  const ours = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8');
  return ours
    .slice(ours.indexOf('Copyright'))
    .replace(/^Copyright .*/, `Copyright (c) ${holders}`)
    .trim();
}
