/** Who else could change a configuration, which decides what is done to the network with the rights of whoever uses it. */
import { realpath, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { ConfigProblem } from './config-error.ts';

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
