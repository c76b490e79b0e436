/** Configuration files: which one to read, its text, and who else can write it. */
import { constants, existsSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { parseConfig, parseResolved, TtunConfigError } from './parse.ts';
import type { Config, ConfigFormat, ConfigProblem, ParseSettings, ResolvedConfig } from './parse.ts';

/**
 * Reads and checks a configuration file, in the format given by its extension: `.toml` or `.json`.
 *
 * Rejects with a `TtunConfigError` that has every problem.
 */
export async function loadConfig(path: string): Promise<Config> {
  return loadBy(parseConfig, path);
}

/** As `loadConfig`, with the options resolved. */
export async function loadResolved(path: string): Promise<ResolvedConfig> {
  return loadBy(parseResolved, path);
}

async function loadBy<Result extends { readonly warnings: readonly ConfigProblem[] }>(
  parse: (text: string, settings: ParseSettings) => Result,
  path: string,
): Promise<Result> {
  const format = formatOf(path);
  const text = await readText(path);
  if (text.trim() === '') {
    throw fault(path, 'the file is empty', 'add tunnels.NAME with device, local and remote');
  }
  const config = parse(text, { format, path });
  return { ...config, warnings: [...(await findWriters(path)), ...config.warnings] };
}

/** In bytes: more than thousands of tunnels need. */
const LARGEST_FILE = 2 ** 20;

function formatOf(path: string): ConfigFormat {
  const extension = extname(path).toLowerCase();
  if (extension === '.toml') return 'toml';
  if (extension === '.json') return 'json';
  throw fault(path, 'unknown format', 'give the file a name that ends in .toml or .json');
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const name = isUtf16 ? 'UTF-16' : 'ISO-8859-1';
    const encoding = isUtf16 ? 'is UTF-16, not UTF-8' : 'not valid UTF-8';
    throw fault(path, encoding, `write it in UTF-8: iconv -f ${name} -t UTF-8 ${path}`);
  }
}

async function readBytes(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    // So that opening a FIFO does not block.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (stats.isDirectory()) throw fault(path, 'is a directory', 'give the path of a file in it');
    if (!stats.isFile()) throw fault(path, 'not a regular file', 'give the path of a file');
    if (stats.size > LARGEST_FILE) {
      throw fault(
        path,
        'larger than 1 MiB, the limit for configuration files',
        'check that it is the right file',
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
  if (code === 'ENOENT') return fault(path, 'no such file', 'check the path, or create the file');
  if (code === 'EACCES') return fault(path, 'permission denied', `check its permissions: ls -l ${path}`);
  if (code === 'ENOTDIR') return fault(path, 'part of its path is not a directory', 'check the path');
  return fault(path, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, null);
}

function fault(file: string | null, message: string, hint: string | null): TtunConfigError {
  return new TtunConfigError([{ file, line: null, column: null, path: '', message, hint }]);
}

// The file to read if none is named.

const NAMES = ['ttun.toml', 'ttun.json'] as const;

/**
 * The file that was named, or the one in the working directory.
 *
 * @throws TtunConfigError if there is none, or more than one
 */
export function findConfigFile(named: string | undefined): string {
  if (named !== undefined) return named;
  const [first, second] = NAMES.filter((name) => existsSync(name));
  if (first === undefined) {
    throw fault(
      null,
      `there is no ${NAMES.join(' or ')} in ${process.cwd()}`,
      'give the path of the file, or create one',
    );
  }
  if (second === undefined) return first;
  throw fault(null, `${first} and ${second} both exist`, 'give the path of the one to use');
}

// Other users who can change the configuration, and with it the network.

/** Warnings about a file, or its directory, that others can write. */
async function findWriters(path: string): Promise<ConfigProblem[]> {
  const real = await realpath(path);
  const folder = dirname(real);
  const [fileRights, folderRights] = [openTo(await stat(real)), openTo(await stat(folder))];
  const warnings = [];
  if (fileRights !== null) {
    warnings.push({
      message: `${fileRights.whom} can write the file, and so control what ttun does`,
      hint: `chmod ${fileRights.mode} ${real}`,
    });
  }
  if (folderRights !== null && !folderRights.isSticky) {
    warnings.push({
      message: `${folderRights.whom} can write the directory ${folder}, and so replace the file`,
      hint: `chmod ${folderRights.mode} ${folder}`,
    });
  }
  return warnings.map((warning) => ({ file: path, line: null, column: null, path: '', ...warning }));
}

interface Rights {
  readonly whom: string;
  /** Argument of chmod that takes write permission away from them. */
  readonly mode: string;
  /** Whether it is a directory in which users cannot replace each other's files (`S_ISVTX` in inode(7)). */
  readonly isSticky: boolean;
}

/** Who can write it other than the owner; `null` if no one can. */
function openTo({ mode, gid }: Stats): Rights | null {
  const isSticky = (mode & STICKY) !== 0;
  const isGroups = (mode & GROUP_WRITES) !== 0 && !ownGroups().includes(gid);
  if ((mode & OTHERS_WRITE) !== 0) return { whom: 'every user', mode: isGroups ? 'go-w' : 'o-w', isSticky };
  return isGroups ? { whom: `group ${gid}`, mode: 'g-w', isSticky } : null;
}

/** Root's, this process's, and that of the user who typed `sudo`, which often has one member. */
function ownGroups(): number[] {
  return [0, process.getegid?.() ?? 0, Number(process.env['SUDO_GID'] ?? 0)];
}

const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;
const STICKY = 0o1000;
