import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder that everybody may read. The caller removes it. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ttun-lab-'));
  chmodSync(folder, 0o755);
  return folder;
}

/** A new folder, for PATH, in which these programs and no others are found. The caller removes it. */
export function folderWith(programs: Readonly<Record<string, string>>): string {
  const folder = newFolder();
  for (const [name, path] of Object.entries(programs)) symlinkSync(path, join(folder, name));
  return folder;
}

/** Where a program is installed. */
export function pathOf(name: string): string {
  return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
}
