/** The registry and the kinds of Node that the packages are tested with. `npm run test:packages` puts them in tools/packages. */
import { fileURLToPath } from 'node:url';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import type { Command } from '../../testbed/exec.ts';

/** URL of the registry on this machine to which `npm run test:packages` has published the packages. */
export const REGISTRY: string = given('TTUN_TEST_REGISTRY');

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run npm run test:packages`);
  return value;
}

export interface Runtime {
  readonly name: string;
  /** The platform whose package is installed for it. */
  readonly platform: string;
  /** The program Node. */
  readonly node: string;
  /** Runs its commands, so that the system looks like one for this Node. */
  readonly within: Command;
}

const RUNTIMES = new URL('../../tools/packages/', import.meta.url);

/** Those that this machine runs without emulation. */
export const NATIVE: readonly Runtime[] = [
  ...['20', '22', '24'].map((version): Runtime => ({
    name: `Node ${version}`,
    platform: 'linux-x64-gnu',
    node: fileURLToPath(new URL(`node_modules/node-${version}/bin/node`, RUNTIMES)),
    within: [],
  })),
  {
    name: 'Node for musl',
    platform: 'linux-x64-musl',
    node: downloaded('linux-x64-musl/node'),
    within: withLdd(downloaded('linux-x64-musl/ldd')),
  },
];

/** Those that run in an emulation, which can't start other arm64 programs. */
export const EMULATED: readonly Runtime[] = [
  {
    name: 'Node for arm64',
    platform: 'linux-arm64-gnu',
    node: downloaded('linux-arm64-gnu/node'),
    within: [],
  },
  {
    name: 'Node for arm64 and musl',
    platform: 'linux-arm64-musl',
    node: downloaded('linux-arm64-musl/node'),
    within: withLdd(downloaded('linux-x64-musl/ldd')),
  },
];

/** The target of Rust for a platform, as `ttun --version` names it. */
export function targetOf(platform: string): string {
  const found = PLATFORMS.find(({ name }) => name === platform);
  if (found === undefined) throw new Error(`there is no platform ${platform}`);
  return found.target;
}

function downloaded(path: string): string {
  return fileURLToPath(new URL(`downloaded/${path}`, RUNTIMES));
}

/** npm looks at /usr/bin/ldd to find out the libc. Only this command sees the one that replaces it. */
function withLdd(ldd: string): Command {
  return [
    '/usr/bin/unshare',
    '--mount',
    '/bin/sh',
    '-c',
    '/bin/mount --bind "$0" /usr/bin/ldd && exec "$@"',
    ldd,
  ];
}
