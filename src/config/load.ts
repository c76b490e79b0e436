/** Reads configuration files. */
import { constants, existsSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { parseConfig, TtunConfigError } from './parse.ts';
import type { Config, ConfigFormat, ConfigProblem } from './parse.ts';

/**
 * Reads and checks a configuration file, in the format that its name says: `.toml` or `.json`.
 *
 * Rejects with a `TtunConfigError` that has all that is wrong.
 */
export async function loadConfig(path: string): Promise<Config> {
  const format = formatOf(path);
  const text = await readText(path);
  if (text.trim() === '') {
    throw fault(path, 'the file is empty', 'add tunnels.NAME with device, local and remote');
  }
  const config = parseConfig(text, { format, path });
  return { ...config, warnings: [...(await findWriters(path)), ...config.warnings] };
}

/** Far more than thousands of tunnels need, bytes. */
const LARGEST_FILE = 2 ** 20;

function formatOf(path: string): ConfigFormat {
  const extension = extname(path).toLowerCase();
  if (extension === '.toml') return 'toml';
  if (extension === '.json') return 'json';
  throw fault(path, 'the name does not say which format it has', 'name it with .toml or .json at the end');
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const name = isUtf16 ? 'UTF-16' : 'ISO-8859-1';
    const encoding = isUtf16 ? 'it is UTF-16' : 'it has bytes that are no UTF-8';
    throw fault(path, encoding, `write it in UTF-8: iconv -f ${name} -t UTF-8 ${path}`);
  }
}

async function readBytes(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    // What is no file is not to be waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (stats.isDirectory()) throw fault(path, 'it is a directory', 'name a file in it');
    if (!stats.isFile()) throw fault(path, 'it is not a regular file', 'name a file');
    if (stats.size > LARGEST_FILE) {
      throw fault(
        path,
        'it is larger than 1 MiB, which no configuration is',
        'check whether it is the right file',
      );
    }
    return await file.readFile();
  } catch (error) {
    if (error instanceof TtunConfigError) throw error;
    throw unreadable(path, error);
  } finally {
    await file?.close();
  }
}

function unreadable(path: string, error: unknown): TtunConfigError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return fault(path, 'there is no such file', 'check the path, or write the file');
  if (code === 'EACCES') return fault(path, 'you may not read it', `see who may: ls -l ${path}`);
  if (code === 'ENOTDIR') return fault(path, 'part of its path is not a directory', 'check the path');
  return fault(path, `it cannot be read: ${error instanceof Error ? error.message : String(error)}`, null);
}

function fault(file: string, message: string, hint: string | null): TtunConfigError {
  return new TtunConfigError([{ file, line: null, column: null, path: '', message, hint }]);
}

// Which file is meant where none is named.

const NAMES = ['ttun.toml', 'ttun.json'] as const;

/**
 * The file that was named, or the one in the working directory.
 *
 * @param named as typed: `-c FILE`
 * @throws TtunConfigError where there is none, or it is not clear which
 */
export function findConfigFile(named: string | undefined): string {
  if (named !== undefined) return named;
  const [first, second] = NAMES.filter((name) => existsSync(name));
  if (first === undefined) {
    throw faultFind(`there is no ${NAMES.join(' or ')} in ${process.cwd()}`, 'name the file, or write one');
  }
  if (second !== undefined)
    throw faultFind(`${first} and ${second} are both here`, 'name the one that is meant');
  return first;
}

function faultFind(message: string, hint: string): TtunConfigError {
  return new TtunConfigError([{ file: null, line: null, column: null, path: '', message, hint }]);
}

// Who else could change a configuration, which decides what is done to the network with the rights of whoever uses it.

/** Warnings about a file, or the directory it is in, that others can write. */
export async function findWriters(path: string): Promise<ConfigProblem[]> {
  const real = await realpath(path);
  const folder = dirname(real);
  const [fileRights, folderRights] = [openTo(await stat(real)), openTo(await stat(folder))];
  const warnings = [];
  if (fileRights !== null) {
    warnings.push({
      message: `${fileRights.whom} can write the file, and decide what ttun does`,
      hint: `chmod ${fileRights.mode} ${real}`,
    });
  }
  if (folderRights !== null && !folderRights.isSticky) {
    warnings.push({
      message: `${folderRights.whom} can write the directory ${folder}, and put another file in this one's place`,
      hint: `chmod ${folderRights.mode} ${folder}`,
    });
  }
  return warnings.map((warning) => ({ file: path, line: null, column: null, path: '', ...warning }));
}

interface Rights {
  readonly whom: string;
  /** What takes their right to write away. */
  readonly mode: string;
  /** In such a directory nobody replaces the files of others (`S_ISVTX` in inode(7)). */
  readonly isSticky: boolean;
}

/** To whom else than its owner; `null` for nobody. */
function openTo({ mode, gid }: Stats): Rights | null {
  const isSticky = (mode & STICKY) !== 0;
  const isGroups = (mode & GROUP_WRITES) !== 0 && !ownGroups().includes(gid);
  if ((mode & OTHERS_WRITE) !== 0) return { whom: 'every user', mode: isGroups ? 'go-w' : 'o-w', isSticky };
  return isGroups ? { whom: `the group ${gid}`, mode: 'g-w', isSticky } : null;
}

/** Root's, this process's, and that of the person behind `sudo`: often a group of one. */
function ownGroups(): number[] {
  return [0, process.getegid?.() ?? 0, Number(process.env['SUDO_GID'] ?? 0)];
}

const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;
const STICKY = 0o1000;
