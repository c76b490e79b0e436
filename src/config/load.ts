/** Reads configuration files. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { extname } from 'node:path';
import { TtunConfigError } from './config-error.ts';
import { parseConfig } from './parse.ts';
import type { Config, ConfigFormat } from './parse.ts';
import { findWriters } from './writers.ts';

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
    const stat = await file.stat();
    if (stat.isDirectory()) throw fault(path, 'it is a directory', 'name a file in it');
    if (!stat.isFile()) throw fault(path, 'it is not a regular file', 'name a file');
    if (stat.size > LARGEST_FILE) {
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
