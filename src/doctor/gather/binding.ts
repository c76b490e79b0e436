/** Binding a socket to the local end, for an instant: the kernel knows best what keeps one from it. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { formatIpAddress } from '../../address.ts';
import type { WayFacts } from '../facts.ts';
import type { LocalEndpoint } from '../../options.ts';

export async function tryBinding(
  { address, port }: LocalEndpoint,
  family: 4 | 6,
): Promise<WayFacts['binding']> {
  const socket = createSocket(family === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true });
  try {
    const any = family === 4 ? '0.0.0.0' : '::';
    const listening = once(socket, 'listening');
    socket.bind({ address: address === null ? any : formatIpAddress(address), port, exclusive: true });
    await listening;
    return 'possible';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') return 'taken';
    if (code === 'EACCES') return 'forbidden';
    return 'not-here';
  } finally {
    socket.close();
  }
}
