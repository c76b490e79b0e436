/** UDP sockets of this network namespace, from `/proc/net/udp` and `/proc/net/udp6` (proc(5)). */
import { readFileSync } from 'node:fs';
import { SocketAddress } from 'node:net';
import type { LocalEndpoint } from '../../options.ts';

/** Numbers of the sockets that keep another from having this address and port. */
export function socketsAt(local: LocalEndpoint, family: 4 | 6): string[] {
  return sockets(family === 4 ? '/proc/net/udp' : '/proc/net/udp6')
    .filter(({ address, port }) => {
      const isSame = local.address === null || address === local.address.text;
      return port === local.port && (isSame || address === '0.0.0.0' || address === '::');
    })
    .map(({ number }) => number);
}

interface UdpSocket {
  readonly address: string;
  readonly port: number;
  /** Of its inode. */
  readonly number: string;
}

function sockets(path: string): UdpSocket[] {
  return read(path).flatMap((line) => {
    const [, local = '', , , , , , , , number] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    if (number === undefined) return [];
    return [{ address: toAddress(address), port: Number.parseInt(port, 16), number }];
  });
}

function read(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').slice(1);
  } catch {
    return [];
  }
}

/** Words of four bytes, each as a number of this machine, which is little-endian. */
function toAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].toReversed());
  if (bytes.length === 4) return bytes.join('.');
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return groups.length === 8 ? new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address : '';
}
