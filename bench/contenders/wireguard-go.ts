/** WireGuard in user space. It encrypts, which the others do not; like ttun it moves super-packets. */
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Site } from '../../testbed/site.ts';
import { waitFor } from '../../testbed/wait.ts';
import { NEAR_LINKS } from '../links.ts';
import { ownAddresses, PORT } from './contender.ts';
import type { Contender } from './contender.ts';

/** 1500 − 80, the default of the program. */
const WIREGUARD_MTU = 1420;
/** An X25519 key is the last 32 bytes of its DER form. */
const KEY_BYTES = 32;

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const keys = new WeakMap<Site, Keys>();

export const wireguardGo: Contender = {
  name: 'wireguard-go',
  description: `wireguard-go (encrypts), MTU ${WIREGUARD_MTU}`,
  programs: ['wireguard-go'],
  tunMtu: WIREGUARD_MTU,
  links: NEAR_LINKS,
  prepare({ a, b }) {
    for (const site of [a, b]) keys.set(site, generateKeyPairSync('x25519'));
    return Promise.resolve();
  },
  start: (near) => near.start(['wireguard-go', '--foreground', deviceOf(near)]),
  async configure(near, far) {
    const { ipv4 } = ownAddresses(near);
    // Only the appearance of the device shows that the program can be configured.
    await waitFor(deviceOf(near), () => configureKeys(near, far));
    await near.ipBatch(`address add ${ipv4}/24 dev ${deviceOf(near)}`, `link set ${deviceOf(near)} up`);
  },
  addresses: ownAddresses,
};

/** The control socket is in a directory that all namespaces share: the device's name must be unique. */
function deviceOf(site: Site): string {
  return `w${site.namespace}`;
}

/** Speaks the program's configuration protocol, as wg(8) does; `false` while the program does not listen. */
async function configureKeys(near: Site, far: Site): Promise<boolean> {
  const settings = {
    private_key: rawKey(keysOf(near).privateKey, 'pkcs8'),
    listen_port: PORT,
    public_key: rawKey(keysOf(far).publicKey, 'spki'),
    endpoint: `${far.outer.ipv4}:${PORT}`,
    allowed_ip: '0.0.0.0/0',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const socket = connect(`/var/run/wireguard/${deviceOf(near)}.sock`);
  try {
    await once(socket, 'connect');
  } catch {
    return false;
  }
  socket.write(`set=1\n${lines.join('\n')}\n\n`);
  const [reply] = await once(socket, 'data');
  socket.destroy();
  if (!String(reply).startsWith('errno=0\n')) throw new Error(`wireguard-go refuses its settings: ${reply}`);
  return true;
}

function rawKey(key: KeyObject, type: 'pkcs8' | 'spki'): string {
  return key.export({ format: 'der', type }).subarray(-KEY_BYTES).toString('hex');
}

function keysOf(site: Site): Keys {
  const pair = keys.get(site);
  if (pair === undefined) throw new Error(`${site.namespace} has no keys yet`);
  return pair;
}
