/** Each way in which ttun may have been installed, as its folders show, and the command that installs a native part there. */
import { join } from 'node:path';
import type { Circumstances } from './layout.ts';

export interface Installed {
  readonly how: string;
  /** Where ttun is, below a new folder. */
  readonly at: string;
  /** The package.json of others, by their folders. */
  readonly manifests?: Readonly<Record<string, object>>;
  /** Further files. */
  readonly traces?: readonly string[];
  readonly circumstances?: (folder: string) => Circumstances;
  readonly command: (folder: string) => string;
}

const IN_MODULES = 'node_modules/ttun';
const wanting = (range: string): Readonly<Record<string, object>> => ({
  '.': { dependencies: { ttun: range } },
});
const elsewhere = (): Circumstances => ({ cwd: '/' });

export const INSTALLED: readonly Installed[] = [
  {
    how: 'by npm for a program',
    at: IN_MODULES,
    manifests: wanting('^1.0.0'),
    command: () => 'npm install --include=optional ttun@1.2.3',
  },
  {
    how: 'by npm for a program in another folder',
    at: IN_MODULES,
    manifests: wanting('^1.0.0'),
    circumstances: elsewhere,
    command: (folder) => `npm install --prefix ${folder} --include=optional ttun@1.2.3`,
  },
  {
    how: 'by npm for a program in a folder with a space in its name',
    at: `my program/${IN_MODULES}`,
    manifests: { 'my program': { dependencies: { ttun: '^1.0.0' } } },
    command: (folder) => `npm install --prefix '${folder}/my program' --include=optional ttun@1.2.3`,
  },
  {
    how: 'by npm in exactly one version',
    at: IN_MODULES,
    manifests: wanting('1.2.3'),
    command: () => 'npm install --save-exact --include=optional ttun@1.2.3',
  },
  {
    how: 'by npm for developing',
    at: IN_MODULES,
    manifests: { '.': { devDependencies: { ttun: '~1.2.0' } } },
    command: () => 'npm install --include=optional ttun@1.2.3',
  },
  {
    how: 'by npm for another package, or without saving',
    at: IN_MODULES,
    manifests: { '.': { dependencies: { other: '^4.0.0' } } },
    command: () => 'npm install --no-save --include=optional ttun@1.2.3',
  },
  {
    how: 'by npm among the packages of another package',
    at: 'node_modules/other/node_modules/ttun',
    manifests: wanting('^2.0.0'),
    command: () => 'npm install --include=optional',
  },
  {
    how: 'by npm from a repository',
    at: IN_MODULES,
    manifests: wanting('git+https://git.example/ttun.git'),
    command: () => 'npm install --include=optional',
  },
  {
    how: 'by npm from a tarball',
    at: IN_MODULES,
    manifests: wanting('file:../packed/ttun-1.2.3.tgz'),
    command: (folder) =>
      `npm install --save-optional ${join(folder, '..', 'packed', 'ttun-binding-linux-x64-gnu-1.2.3.tgz')}`,
  },
  {
    how: 'by npx',
    at: `.npm/_npx/e9c17ed8/${IN_MODULES}`,
    manifests: { '.npm/_npx/e9c17ed8': { dependencies: { ttun: '^1.2.3' } } },
    command: (folder) => `npm install --prefix ${folder}/.npm/_npx/e9c17ed8 --include=optional ttun@1.2.3`,
  },
  {
    how: 'by npm for all',
    at: `lib/${IN_MODULES}`,
    circumstances: (folder) => ({ node: `${folder}/bin/node` }),
    command: () => 'npm install --global --include=optional ttun@1.2.3',
  },
  {
    how: 'by npm for all, in another place than that of Node',
    at: `lib/${IN_MODULES}`,
    command: (folder) => `npm install --global --prefix ${folder} --include=optional ttun@1.2.3`,
  },
  {
    how: 'by npm for all, among the packages of another package',
    at: 'lib/node_modules/@some/other/node_modules/ttun',
    manifests: { 'lib/node_modules/@some/other': { version: '4.5.6' } },
    circumstances: (folder) => ({ node: `${folder}/bin/node` }),
    command: () => 'npm install --global --include=optional @some/other@4.5.6',
  },
  {
    how: 'by pnpm for a program',
    at: 'node_modules/.pnpm/ttun@1.2.3/node_modules/ttun',
    command: () => 'pnpm install --force --config.optional=true',
  },
  {
    how: 'by pnpm for a program in another folder',
    at: 'node_modules/.pnpm/ttun@1.2.3/node_modules/ttun',
    circumstances: elsewhere,
    command: (folder) => `pnpm --dir ${folder} install --force --config.optional=true`,
  },
  {
    how: 'by pnpm for all',
    at: 'global/5/.pnpm/ttun@1.2.3/node_modules/ttun',
    command: () => 'pnpm add --global --force --config.optional=true ttun@1.2.3',
  },
  {
    how: 'by yarn',
    at: IN_MODULES,
    traces: ['node_modules/.yarn-state.yml'],
    command: () => 'yarn install',
  },
  {
    how: 'by yarn for a program in another folder',
    at: IN_MODULES,
    traces: ['node_modules/.yarn-state.yml'],
    circumstances: elsewhere,
    command: (folder) => `yarn --cwd ${folder} install`,
  },
  {
    how: 'by yarn with links',
    at: 'node_modules/.store/ttun-npm-1.2.3-50c0058c76/package',
    command: () => 'yarn install',
  },
  {
    how: 'by yarn in archives',
    at: `.yarn/unplugged/ttun-npm-1.2.3-50c0058c76/${IN_MODULES}`,
    circumstances: () => ({ pnp: true }),
    command: () => 'yarn install',
  },
  {
    how: 'by yarn 1',
    at: IN_MODULES,
    traces: ['node_modules/.yarn-integrity'],
    command: () => 'yarn install --force',
  },
  {
    how: 'by yarn 1 for a program in another folder',
    at: IN_MODULES,
    traces: ['node_modules/.yarn-integrity'],
    circumstances: elsewhere,
    command: (folder) => `yarn --cwd ${folder} install --force`,
  },
  {
    how: 'by unpacking it',
    at: '.',
    command: () => 'npm install --include=optional',
  },
];
