/** The kinds of Node that the packages are tried with. `npm run test:packages` has put them in tools/runtimes. */
import { fileURLToPath } from 'node:url';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import type { Command } from '../../testbed/exec.ts';

export interface Runtime {
  readonly name: string;
  /** Whose package is installed for it. */
  readonly platform: string;
  /** The program Node. */
  readonly node: string;
  /** What has to run its commands, so that the system looks to them like one of their kind. */
  readonly within: Command;
}

const RUNTIMES = new URL('../../tools/runtimes/', import.meta.url);

/** Those that this machine runs by itself. */
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

/** Those that run in an emulation, which can't start other programs of their kind. */
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

/** npm tells by /usr/bin/ldd which libc a system has. The one that takes its place is there for nobody else. */
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
