import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputOf } from './run.mjs';
import { Stop } from './stop.mjs';

/** The file in which they are passed on. */
export const LICENCES = 'THIRD-PARTY-LICENSES.txt';

const RUST_LIBRARY = {
  title: 'The Rust standard library, MIT OR Apache-2.0',
  text: mit('The Rust Project contributors'),
};

/** Linked into static programs. */
export const MUSL_LIBRARY = { title: 'musl libc, MIT', text: mit('2005-2020 Rich Felker, et al.') };

/**
 * What is linked into a package of this workspace for a target, with the texts that its licences ask to be passed on.
 *
 * @param {{ title: string, text: string }[]} besides what is linked in that is no crate
 */
export function thirdPartyLicences(packageName, target, besides = []) {
  const notices = new Map([RUST_LIBRARY, ...besides].map(({ title, text }) => [text, [title]]));
  for (const crate of linkedCrates(packageName, target)) {
    const title = `${crate.name} ${crate.version}, ${crate.license}`;
    for (const text of licenceTexts(crate)) {
      const titles = notices.get(text) ?? [];
      notices.set(text, [...titles, title]);
    }
  }
  const sections = [...notices].map(([text, titles]) => `${titles.join('\n')}\n\n${text}\n`);
  const introduction = 'What is linked into this file besides ttun itself, and under which licences.\n';
  return [introduction, ...sections].join(`\n${'-'.repeat(80)}\n\n`);
}

/** All that a package needs when it runs, sorted; what runs while it is compiled (macros, build scripts) is not in the result. */
function linkedCrates(packageName, target) {
  const metadata = metadataFor(target);
  const packages = new Map(metadata.packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const linked = new Set();
  const visit = (id) => {
    if (linked.has(id) || isMacro(packages.get(id))) return;
    linked.add(id);
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (kinds.some(({ kind }) => kind === null)) visit(pkg);
    }
  };
  visit(metadata.packages.find(({ name }) => name === packageName).id);
  const foreign = [...linked].map((id) => packages.get(id)).filter(({ source }) => source !== null);
  return foreign.sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

function metadataFor(target) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target];
  const printed = outputOf('cargo', args);
  if (printed === null) throw new Stop(`\`cargo ${args.join(' ')}\` failed`);
  return JSON.parse(printed);
}

function isMacro({ targets }) {
  return targets.some(({ kind }) => kind.includes('proc-macro'));
}

/** Of several licences to choose from, MIT, which is the shortest; every other one as it is. */
function licenceTexts({ name, manifest_path: manifest, license, authors }) {
  const folder = dirname(manifest);
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file));
  const ofMit = license.includes('MIT') ? files.filter((file) => /mit/i.test(file)) : [];
  const chosen = ofMit.length > 0 ? ofMit : files;
  if (chosen.length > 0) return chosen.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (license === 'MIT') return [mit(authors.join(', '))];
  throw new Stop(
    `the crate ${name} holds no text of its licence, ${license}, which the packages must pass on`,
  );
}

/** The MIT licence, for those who did not put it beside their sources. */
function mit(holders) {
  return `Copyright (c) ${holders}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
}
