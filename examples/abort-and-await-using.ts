/**
 * A tunnel that is open while a block of code runs: `await using` closes it however the block is left. An `AbortSignal` cancels the
 * opening, or closes the tunnel early. `await using` needs TypeScript, or Node 24 or later.
 *
 *     node examples/abort-and-await-using.ts tun0 192.0.2.1:8000 192.0.2.2:8000
 */
import { once } from 'node:events';
import { createTunnel, TtunError } from 'ttun';

const [device = '', local = '', remote = ''] = process.argv.slice(2);
/** Time limit for everything. */
const signal = AbortSignal.timeout(30_000);

try {
  console.log(await waitForPeer());
} catch (error) {
  if (error instanceof TtunError) console.log(`${error.code}: ${error.message}; ${error.hint ?? ''}`);
  else if (signal.aborted) console.log('no packet arrived from the peer in time');
  else throw error;
  process.exitCode = 1;
}

async function waitForPeer(): Promise<string> {
  await using tunnel = await createTunnel({ device, local, remote }, { signal });
  console.log('open');
  if (tunnel.state !== 'up') await once(tunnel, 'state', { signal });
  const { decap } = tunnel.stats();
  return `${decap.packets} packets arrived from the peer`;
  // Here the tunnel is closed and its device is released.
}
