/**
 * A tunnel in a program: opens it, prints its traffic once a second, and closes it on Ctrl-C.
 *
 *     node examples/embed-and-poll.mjs tun0 192.0.2.1:8000 192.0.2.2:8000
 */
import { createTunnel } from 'ttun';

const [device, local, remote] = process.argv.slice(2);
const controller = new AbortController();
process.once('SIGINT', () => controller.abort());

const tunnel = await createTunnel(
  { device, local, remote },
  { signal: controller.signal, onWaiting: ({ message }) => console.error(`waiting for ${message}`) },
);
const printState = (state) => console.log(`the tunnel is ${state}`);
tunnel.on('state', printState);
printState(tunnel.state);
tunnel.on('peer', (address) => console.log(`the peer is now at ${address}`));

// The loop ends with the tunnel.
for await (const { stats, rate } of tunnel.samples({ intervalMs: 1000 })) {
  const { encap, decap } = rate;
  console.log(
    `sent ${megabits(encap.bytes)}, ${Math.round(encap.packets)} packets/s`,
    `| received ${megabits(decap.bytes)}, ${Math.round(decap.packets)} packets/s`,
    `| dropped in total: ${stats.encap.dropped + stats.decap.dropped}`,
  );
}

const end = await tunnel.closed;
if (end.reason === 'failed') {
  console.error(`${end.error.message}; ${end.error.hint ?? ''}`);
  process.exitCode = 1;
}

/** Rates are in bytes per second. */
function megabits(bytesPerSecond) {
  return `${((bytesPerSecond * 8) / 1e6).toFixed(2)} Mbit/s`;
}
