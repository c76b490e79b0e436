import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';
import { COMMANDS } from '../../src/cli/commands.ts';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { parseArguments } from '../../src/cli/args.ts';
import { parseConfig } from '../../src/index.ts';
import { run } from '../../testbed/exec.ts';
import { blocksOf, commandsIn, readDocuments, readReadme, ROOT } from './markdown.ts';

test('ttun accepts every ttun command line in the documentation', async (t) => {
  for (const { path, text } of await readDocuments()) {
    for (const line of ttunCommandLines(text)) await t.notThrowsAsync(takes(line), `${path}: ttun ${line}`);
  }
  t.true(ttunCommandLines(await readReadme()).length >= 8);
});

/** The arguments of `ttun` in each shell command. */
function ttunCommandLines(text: string): string[] {
  return commandsIn(text)
    .flatMap((line) => line.split(/\s*(?:&&|\|)\s*/))
    .map((command) => /(?:^|\s)ttun (.*)$/.exec(command)?.[1])
    .filter((args) => args !== undefined)
    .map((args) => args.replace(/\s*(?:&|[<>] .*)$/, ''));
}

async function takes(line: string): Promise<void> {
  const [name = '', ...args] = line.split(/\s+/);
  const command = COMMANDS.get(name);
  if (command === undefined) parseCommandLine([name, ...args]);
  else
    parseArguments(
      (await command.load()).SPEC,
      args.filter((arg) => arg !== '--help'),
    );
}

test('the configuration files in the documentation are valid', async (t) => {
  const documents = await readDocuments();
  const files = documents.flatMap(({ path, text }) => blocksOf(text, 'toml').map((file) => ({ path, file })));
  t.true(files.some(({ path }) => path === 'README.md'));
  for (const { path, file } of files) {
    if (file.includes('[tunnels.'))
      t.deepEqual(parseConfig(file, { format: 'toml', path }).warnings, [], path);
  }
});

test('the programs in the documentation type-check', async (t) => {
  const blocks = (await readDocuments()).flatMap(({ text }) => blocksOf(text, 'ts'));
  const programs = blocks.filter((block) => block.includes("from 'ttun'"));
  t.true(programs.length > 1);
  const folder = await mkdtemp(join(tmpdir(), 'ttun-programs-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [index, program] of programs.entries()) {
    await writeFile(join(folder, `program-${index}.mts`), program);
  }
  const compilerOptions = {
    rootDir: '/',
    noEmit: true,
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    paths: { ttun: [join(ROOT, 'src', 'index.ts')] },
  };
  const project = { extends: join(ROOT, 'tsconfig.check.json'), compilerOptions, include: ['.'] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(project));
  await t.notThrowsAsync(run([join(ROOT, 'node_modules/.bin/tsc'), '-p', folder], { timeoutMs: 60_000 }));
});

test('the links in the documentation work', async (t) => {
  const documents = await readDocuments();
  const missing = documents.flatMap(({ path, text }) =>
    linksIn(text)
      .filter((link) => !existsSync(join(ROOT, normalize(join(dirname(path), link.replace(/#.*$/, ''))))))
      .map((link) => `${path}: ${link}`),
  );
  t.deepEqual(missing, []);
  const headings = new Map(documents.map(({ path, text }) => [path, anchorsIn(text)]));
  const broken = documents.flatMap(({ path, text }) =>
    [...linksIn(text), ...ownLinksIn(text)]
      .filter((link) => link.includes('#'))
      .filter((link) => {
        const [file = '', anchor = ''] = link.split('#');
        const target = file === '' ? path : normalize(join(dirname(path), file));
        return headings.get(target)?.includes(anchor) === false;
      })
      .map((link) => `${path}: ${link}`),
  );
  t.deepEqual(broken, []);
});

function linksIn(text: string): string[] {
  return targetsIn(text).filter((link) => !/^(?:https?:|mailto:|#)/.test(link));
}

function ownLinksIn(text: string): string[] {
  return targetsIn(text).filter((link) => link.startsWith('#'));
}

function targetsIn(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** The anchors that GitHub gives headings: a repeated heading gets a number. */
function anchorsIn(text: string): string[] {
  const uses = new Map<string, number>();
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const before = uses.get(anchor) ?? 0;
    uses.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

test('docs/README.md lists each page', async (t) => {
  const documents = await readDocuments();
  const index = documents.find(({ path }) => path === 'docs/README.md')?.text ?? '';
  const pages = documents
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
  t.deepEqual(
    pages.filter((path) => !index.includes(`(${path.slice('docs/'.length)})`)),
    [],
  );
});
