/** fastd with its `null` method: a handshake with keys, then packets as they are behind one byte. */
import { run } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { NEAR_LINKS } from '../links.ts';
import { innerAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

/** The default of the program; it must be given nevertheless, and must match the device. */
const FASTD_MTU = 1426;

interface KeyPair {
  readonly secret: string;
  readonly public: string;
}

const keys = new WeakMap<Site, KeyPair>();

export const fastd: Contender = {
  name: 'fastd',
  description: `fastd, method null, MTU ${FASTD_MTU}`,
  programs: ['fastd'],
  tunMtu: FASTD_MTU,
  links: NEAR_LINKS,
  async prepare({ a, b }) {
    keys.set(a, await generateKeys());
    keys.set(b, await generateKeys());
  },
  start(near, far) {
    const daemon = near.start(['fastd', '--config', '-']);
    daemon.child.stdin?.end(configuration(near, far));
    return daemon;
  },
  addresses: innerAddresses,
};

function configuration(near: Site, far: Site): string {
  return `
    method "null";
    mode tun;
    interface "${near.tun}";
    persist interface yes;
    mtu ${FASTD_MTU};
    bind ${near.outer.ipv4}:${PORT};
    secret "${keysOf(near).secret}";
    peer "far" {
      key "${keysOf(far).public}";
      remote ${far.outer.ipv4}:${PORT};
    }
  `;
}

function keysOf(site: Site): KeyPair {
  const pair = keys.get(site);
  if (pair === undefined) throw new Error(`${site.namespace} has no keys yet`);
  return pair;
}

async function generateKeys(): Promise<KeyPair> {
  const { stdout } = await run(['fastd', '--generate-key']);
  const [, secretKey, publicKey] = /^Secret: (\w+)\nPublic: (\w+)$/m.exec(stdout) ?? [];
  if (secretKey === undefined || publicKey === undefined) throw new Error(`no keys in ${stdout}`);
  return { secret: secretKey, public: publicKey };
}
