/** The commands that put a native part where it is missing, one for each way in which packages are installed. */
import { packageVersion } from '../package-version.ts';
import { shellWord } from '../text.ts';
import type { Installation } from './installation.ts';
import { argumentsForAll, argumentsInProject } from './npm.ts';
import type { Order } from './npm.ts';

/** Builds ttun from its sources and puts it on the PATH. To be typed in a checkout. */
export const BUILD = 'npm install --no-save && npm run build && npm install --global .';

export function installCommand({ kind, folder }: Installation, order: Order): string {
  return commandLine(WORDS[kind](folder, order));
}

/** Package managers leave what is there as it is, so it has to go before it is installed again. */
export function removeCommand(folder: string): string {
  return commandLine(['rm', '-r', fromHere(folder)]);
}

const WORDS: Readonly<Record<Installation['kind'], (folder: string, order: Order) => string[]>> = {
  checkout: (folder) => ['npm', 'run', 'build:native', ...inFolder('--prefix', folder)],
  npm: (folder, order) => [
    'npm',
    'install',
    ...inFolder('--prefix', folder),
    ...argumentsInProject(folder, order),
  ],
  'npm-global': (prefix, order) => ['npm', 'install', '--global', ...argumentsForAll(prefix, order)],
  pnpm: (folder) => ['pnpm', ...inFolder('--dir', folder), 'install', ...PNPM_OPTIONS],
  'pnpm-global': () => ['pnpm', 'add', '--global', ...PNPM_OPTIONS, `ttun@${packageVersion()}`],
  yarn: (folder) => ['yarn', ...inFolder('--cwd', folder), 'install'],
  'yarn-classic': (folder) => ['yarn', ...inFolder('--cwd', folder), 'install', '--force'],
};

/** pnpm goes by its notes of what it has installed, and settings may leave optional packages out. */
const PNPM_OPTIONS = ['--force', '--config.optional=true'];

/** Has a command work in a folder, wherever it is typed. */
function inFolder(option: string, folder: string): string[] {
  return folder === here() ? [] : [option, folder];
}

/** A path as one would type it. */
function fromHere(path: string): string {
  const below = `${here()}/`;
  return path.startsWith(below) ? path.slice(below.length) : path;
}

/** `null` where that folder has been removed. */
function here(): string | null {
  try {
    return process.cwd();
  } catch {
    return null;
  }
}

/** Words as they are typed. */
export function commandLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}
