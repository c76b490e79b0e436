import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelEnd } from '../tunnel.ts';

/** Prints the opening of a tunnel as a line of JSON; returns what prints its end. */
export function startEvents(tunnel: OpenTunnel): (end: TunnelEnd) => void {
  // Nobody may be there to read any more, which is no reason to end.
  process.stdout.on('error', () => {});
  print({ event: 'attached', stats: tunnel.stats() });
  return (end) => {
    const stats = tunnel.stats();
    if (end.reason === 'closed') print({ event: 'closed', stats });
    else {
      const { code, message, hint, syscall, errno } = end.error;
      print({ event: 'failed', error: { code, message, hint, syscall, errno }, stats });
    }
  };
}

function print(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
