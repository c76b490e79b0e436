/**
 * A tunnel in a worker thread, so that its statistics are read on time even if the main thread is busy. Packets never pass through
 * JavaScript, so they do not need this. Terminating the worker closes its tunnel.
 *
 *     node examples/worker.mjs tun0 192.0.2.1:8000 192.0.2.2:8000
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createTunnel } from 'ttun';

if (isMainThread) await watch();
else await carry();

async function watch() {
  const [device, local, remote] = process.argv.slice(2);
  const worker = new Worker(new URL(import.meta.url), { workerData: { device, local, remote } });
  worker.on('message', ({ state, sent, received }) => {
    console.log(`${state}: ${sent} packets sent, ${received} received`);
  });
  worker.on('error', ({ message }) => {
    console.error(message);
    process.exitCode = 1;
  });
  process.once('SIGINT', () => worker.terminate());
}

async function carry() {
  const tunnel = await createTunnel(workerData);
  for await (const { stats } of tunnel.samples({ intervalMs: 1000 })) {
    parentPort.postMessage({ state: stats.state, sent: stats.encap.packets, received: stats.decap.packets });
  }
}
