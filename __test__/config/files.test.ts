/** Configuration files as they are found on disks. */
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { loadConfig, TtunConfigError } from '../../src/index.ts';
import { run } from '../../testbed/exec.ts';

const GOOD = '[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\n';

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ttun-config-'));
  t.teardown(() => rm(path, { recursive: true }));
  return path;
}

async function fileOf(
  t: ExecutionContext,
  content: string | Uint8Array,
  name = 'ttun.toml',
): Promise<string> {
  const path = join(await folder(t), name);
  await writeFile(path, content, { mode: 0o644 });
  return path;
}

async function refusal(path: string): Promise<readonly [message: string, hint: string | null]> {
  try {
    await loadConfig(path);
  } catch (error) {
    if (!(error instanceof TtunConfigError) || error.problems.length !== 1) throw error;
    const [problem] = error.problems;
    if (problem?.file !== path) throw error;
    return [problem.message, problem.hint];
  }
  throw new Error('the file was accepted');
}

test('the format is given by the extension of the file', async (t) => {
  const { path, tunnels } = await loadConfig(await fileOf(t, GOOD, 'mine.TOML'));
  t.true(path?.endsWith('/mine.TOML'));
  t.deepEqual([...tunnels.keys()], ['a']);
  const json = await fileOf(t, '{"tunnels":{"b":{"device":"tun0","local":":1","remote":"b:1"}}}', 'x.json');
  t.deepEqual([...(await loadConfig(json)).tunnels.keys()], ['b']);
  for (const name of ['ttun.yaml', 'ttun', 'toml']) {
    t.deepEqual(await refusal(await fileOf(t, GOOD, name)), [
      'unknown format',
      'give the file a name that ends in .toml or .json',
    ]);
  }
});

test('problems name the file', async (t) => {
  const path = await fileOf(t, `${GOOD}mtu = 1`);
  const error = await t.throwsAsync(loadConfig(path), { instanceOf: TtunConfigError });
  t.is(error.message, `${path}:5:1: tunnels.a.mtu: unknown option\n    did you mean interface.mtu?`);
});

test('a missing file is reported', async (t) => {
  const path = join(await folder(t), 'ttun.toml');
  t.is((await refusal(path))[0], 'no such file');
  t.is((await refusal(join(await fileOf(t, GOOD), 'ttun.toml')))[0], 'part of its path is not a directory');
});

test('a file that is not regular is reported, without waiting for it', async (t) => {
  const path = await folder(t);
  await mkdir(join(path, 'dir.toml'));
  t.is((await refusal(join(path, 'dir.toml')))[0], 'is a directory');
  await run(['mkfifo', join(path, 'pipe.toml')]);
  t.is((await refusal(join(path, 'pipe.toml')))[0], 'not a regular file');
  await symlink(join(path, 'loop.toml'), join(path, 'loop.toml'));
  t.regex((await refusal(join(path, 'loop.toml')))[0], /^cannot be read: ELOOP/);
});

test('an empty file is reported, with the content that is needed', async (t) => {
  for (const content of ['', '\n \n', '\uFEFF']) {
    t.deepEqual(await refusal(await fileOf(t, content)), [
      'the file is empty',
      'add tunnels.NAME with device, local and remote',
    ]);
  }
});

test('a file that is not UTF-8 is reported, with a command that converts it', async (t) => {
  const latin = await fileOf(t, Buffer.from(`# f\u00FCr\n${GOOD}`, 'latin1'));
  t.deepEqual(await refusal(latin), [
    'not valid UTF-8',
    `write it in UTF-8: iconv -f ISO-8859-1 -t UTF-8 ${latin}`,
  ]);
  const utf16 = await fileOf(t, Buffer.from(`\uFEFF${GOOD}`, 'utf16le'));
  t.deepEqual(await refusal(utf16), [
    'is UTF-16, not UTF-8',
    `write it in UTF-8: iconv -f UTF-16 -t UTF-8 ${utf16}`,
  ]);
});

test('a byte order mark is accepted', async (t) => {
  t.is((await loadConfig(await fileOf(t, `\uFEFF${GOOD}`))).tunnels.size, 1);
});

test('a file of more than 1 MiB is refused', async (t) => {
  const comment = `${GOOD}#`;
  t.is((await loadConfig(await fileOf(t, comment.padEnd(2 ** 20, 'x')))).tunnels.size, 1);
  t.is(
    (await refusal(await fileOf(t, comment.padEnd(2 ** 20 + 1, 'x'))))[0],
    'larger than 1 MiB, the limit for configuration files',
  );
});

/** A file that root reads, by who can write it and its directory. */
const RIGHTS: readonly (readonly [
  what: string,
  file: readonly [mode: number, gid: number],
  directory: readonly [mode: number, gid: number],
  warnings: readonly (readonly [whom: string, hint: string])[],
])[] = [
  ['only root can write', [0o644, 0], [0o755, 0], []],
  ["root's group can write", [0o664, 0], [0o775, 0], []],
  ['everybody can write', [0o666, 0], [0o755, 0], [['every user can write the file', 'chmod o-w FILE']]],
  ['a group can write', [0o664, 4242], [0o755, 0], [['group 4242 can write the file', 'chmod g-w FILE']]],
  ['a group can only read', [0o644, 4242], [0o755, 4242], []],
  [
    'a group and everybody can write',
    [0o666, 4242],
    [0o755, 0],
    [['every user can write the file', 'chmod go-w FILE']],
  ],
  [
    'everybody can replace',
    [0o644, 0],
    [0o777, 0],
    [['every user can write the directory DIR', 'chmod o-w DIR']],
  ],
  ['everybody can put others beside', [0o644, 0], [0o1777, 0], []],
  [
    'a group can replace, and everybody can write',
    [0o646, 0],
    [0o775, 4242],
    [
      ['every user can write the file', 'chmod o-w FILE'],
      ['group 4242 can write the directory DIR', 'chmod g-w DIR'],
    ],
  ],
];

for (const [what, [mode, gid], [folderMode, folderGid], expected] of RIGHTS) {
  test(`a file that ${what} gives ${expected.length === 0 ? 'no warning' : 'a warning'}`, async (t) => {
    const path = await fileOf(t, GOOD);
    const directory = join(path, '..');
    await chown(path, 0, gid);
    await chmod(path, mode);
    await chown(directory, 0, folderGid);
    await chmod(directory, folderMode);
    const link = join(await folder(t), 'link.toml');
    await symlink(path, link);
    for (const named of [path, link]) {
      const { warnings } = await loadConfig(named);
      t.deepEqual(
        warnings.map(({ file, message, hint }) => [
          file,
          message.replace(directory, 'DIR').replace(/,.*/, ''),
          hint?.replace(path, 'FILE').replace(directory, 'DIR'),
        ]),
        expected.map(([message, hint]) => [named, message, hint]),
      );
    }
  });
}
