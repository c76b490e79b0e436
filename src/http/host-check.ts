/**
 * Whom this server answers. A web page of a stranger can let its own name resolve to 127.0.0.1 and then read, in the browser
 * of whoever looks at it, what a server there tells ("DNS rebinding"). The browser still sends the stranger's name in the
 * Host header, which no address and no name of our own is.
 */
import { isIP } from 'node:net';

/** Whether a Host header names this server by an address, as `localhost`, or by the name that it was told to listen at. */
export function isOwnHost(header: string | undefined, listenHost: string | null): boolean {
  const host = /^(?:\[(?<ipv6>[^\]]*)\]|(?<plain>[^:]*))(?::\d*)?$/.exec(header ?? '')?.groups;
  if (host === undefined) return false;
  const { ipv6, plain } = host;
  if (plain === undefined) return isIP(ipv6 ?? '') === 6;
  const name = plain.toLowerCase();
  return isIP(name) === 4 || name === 'localhost' || name === listenHost;
}
