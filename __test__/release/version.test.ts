import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run, runToEnd } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const AUTHOR = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
};
const LIMIT = { timeoutMs: 120_000 };

/** Every version that a checkout names, by the file that does. */
async function versionsIn(root: string): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const file of ['package.json', 'package-lock.json']) {
    versions.set(file, JSON.parse(await readFile(join(root, file), 'utf8')).version);
  }
  const metadata = ['cargo', 'metadata', '--format-version', '1', '--no-deps', '--locked', '--offline'];
  const { stdout } = await run([...metadata, '--manifest-path', join(root, 'Cargo.toml')], LIMIT);
  const { packages }: { packages: { name: string; version: string }[] } = JSON.parse(stdout);
  for (const { name, version } of packages) versions.set(`crate ${name}`, version);
  const source = await readFile(join(root, 'src/native.ts'), 'utf8');
  versions.set('src/native.ts', /VERSION = '(.*)'/.exec(source)?.[1] ?? 'none');
  for (const page of ['man/ttun.1', 'man/ttun.toml.5']) {
    const text = await readFile(join(root, page), 'utf8');
    versions.set(page, /^\.TH .*"ttun (\S+)"/m.exec(text)?.[1] ?? 'none');
  }
  return versions;
}

/** A clone of the last commit, with the npm packages installed here. */
async function cloneOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-version-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await run(['git', 'clone', '--quiet', ROOT, folder], LIMIT);
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  // The build writes it, and the man pages need it.
  await copyFile(join(ROOT, 'src', 'stats-table.ts'), join(folder, 'src', 'stats-table.ts'));
  return folder;
}

test('crates, packages, lockfiles and man pages have one version', async (t) => {
  const versions = await versionsIn(ROOT);
  t.true(versions.size >= 10);
  t.is(new Set(versions.values()).size, 1, JSON.stringify([...versions]));
});

test('npm version sets all of them, in one commit with a tag', async (t) => {
  const checkout = await cloneOf(t);
  const inside = async (...command: string[]): Promise<string> =>
    (await run(['env', '-C', checkout, ...command], { ...LIMIT, env: AUTHOR })).stdout.trim();
  await inside('npm', 'version', '3.2.1');
  t.deepEqual([...new Set((await versionsIn(checkout)).values())], ['3.2.1']);
  t.is(await inside('git', 'status', '--porcelain'), '');
  t.is(await inside('git', 'describe', '--exact-match'), 'v3.2.1');
  t.is(await inside('git', 'rev-list', '--count', 'origin/HEAD..HEAD'), '1');
  const changelog = await readFile(join(checkout, 'CHANGELOG.md'), 'utf8');
  t.regex(changelog, /^## \[Unreleased\]\n\n## \[3\.2\.1\] - \d{4}-\d\d-\d\d\n\n### Added$/m);
});

test('npm version refuses a release without an entry in the changelog, and changes nothing', async (t) => {
  const checkout = await cloneOf(t);
  const changelog = join(checkout, 'CHANGELOG.md');
  await writeFile(changelog, '# Changelog\n\n## [Unreleased]\n\n## [0.0.1] - 2026-01-01\n\n- Something\n');
  await run(['git', '-C', checkout, 'commit', '--quiet', '--all', '--message', 'Nothing new'], {
    env: AUTHOR,
  });
  const { status, stderr } = await runToEnd(['env', '-C', checkout, 'npm', 'version', 'minor'], {
    ...LIMIT,
    env: AUTHOR,
  });
  t.not(status, 0);
  t.regex(stderr, /CHANGELOG\.md lists nothing under Unreleased: add what users will notice/);
  t.is((await run(['git', '-C', checkout, 'status', '--porcelain'])).stdout, '');
});
