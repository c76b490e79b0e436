/** The program of this repository, or of another checkout of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAST_LINKS } from '../links.ts';
import type { Link } from '../links.ts';
import { FITTING_MTU, innerAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

/** One way to run it. A new one is a line in `VARIANTS`. */
export interface Variant {
  /** Follows the label of the checkout in the contender's name. */
  readonly name: string;
  readonly tunMtu: number;
  /** Besides `-q`. Older checkouts may not know them, so other checkouts take part only in variants without options. */
  readonly options: readonly string[];
  /** Whether one end learns its peer. Default false. */
  readonly learns?: boolean;
  /** Whether packets wait first in, first out (`queue = false`, which has no argument of the command line). Default false. */
  readonly withoutQueue?: boolean;
  /** Whether it takes part only if `--only` names it. Default false. */
  readonly onlyIfNamed?: boolean;
  /** The links on which it differs from the others. Default: all. */
  readonly links?: readonly Link[];
}

/** The default MTU of `ip tuntap add`, and so of the README's steps. */
const UNTOUCHED_MTU = 1500;

export const VARIANTS: readonly Variant[] = [
  { name: '1472', tunMtu: FITTING_MTU, options: [] },
  { name: '1500', tunMtu: UNTOUCHED_MTU, options: [], links: FAST_LINKS },
  // To be compared with 1472.
  {
    name: 'learn',
    tunMtu: FITTING_MTU,
    options: ['--peers', '10.0.1.1'],
    learns: true,
    onlyIfNamed: true,
    links: ['veth', 'wire'],
  },
  // To be compared with 1472, too.
  {
    name: 'busy',
    tunMtu: FITTING_MTU,
    options: ['--busy-poll', '50us'],
    onlyIfNamed: true,
    links: ['veth', 'wire'],
  },
  // How latency was without the queue: packets wait at the device and in the socket.
  { name: 'fifo', tunMtu: FITTING_MTU, options: [], withoutQueue: true, links: ['slow-20', 'slow-100'] },
  // 90 % of a bottleneck that this host does not see.
  { name: 'rate', tunMtu: FITTING_MTU, options: ['--rate', '18 Mbit/s'], links: ['far-20'] },
];

/** The variants that targets are for. */
export const JUDGED = ['ttun-1472', 'ttun-1500', 'ttun-rate'];

/** As the README starts it, but silent. `checkout` is a directory with a finished build. */
export function ttun(label: string, checkout: string, variant: Variant): Contender {
  const { name, tunMtu, options, learns = false, withoutQueue = false, onlyIfNamed = false, links } = variant;
  const details = [label === 'ttun' ? 'this checkout' : checkout, `device MTU ${tunMtu}`, ...options];
  if (withoutQueue) details.push('queue = false');
  return {
    name: `${label}-${name}`,
    description: details.join(', '),
    programs: [],
    tunMtu,
    onlyIfNamed,
    ...(links === undefined ? {} : { links }),
    start(near, far) {
      const [local, remote] = [near.outer.ipv4, far.outer.ipv4];
      const program = [process.execPath, join(checkout, 'dist', 'bin.js'), '-q'];
      if (withoutQueue) {
        const ends = { device: near.tun, local: `${local}:${PORT}`, remote: `${remote}:${PORT}` };
        const folder = mkdtempSync(join(tmpdir(), 'ttun-bench-'));
        process.once('exit', () => rmSync(folder, { recursive: true }));
        const file = join(folder, 'ttun.json');
        writeFileSync(file, JSON.stringify({ tunnels: { fifo: { ...ends, queue: false } } }));
        return near.start([...program.slice(0, 2), 'up', '-c', file]);
      }
      const end = [near.tun, local, `${PORT}`];
      // The other end has to send first.
      const isFirst = local < remote;
      if (learns && !isFirst) return near.start([...program, ...options, ...end, 'learn']);
      return near.start([...program, ...(learns ? [] : options), ...end, remote, `${PORT}`]);
    },
    addresses: innerAddresses,
  };
}
