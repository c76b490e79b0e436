/**
 * A tunnel's counters as OpenTelemetry metrics. They are read only when the metrics are collected.
 *
 *     npm install @opentelemetry/api @opentelemetry/sdk-metrics
 *     node examples/opentelemetry.mjs tun0 192.0.2.1:8000 192.0.2.2:8000
 */
import { metrics } from '@opentelemetry/api';
import {
  ConsoleMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createTunnel } from 'ttun';

const [device, local, remote] = process.argv.slice(2);

// A real service would use another exporter here, such as the one for OTLP.
const provider = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new ConsoleMetricExporter(),
      exportIntervalMillis: 1000,
      exportTimeoutMillis: 1000,
    }),
  ],
});
metrics.setGlobalMeterProvider(provider);

const tunnel = await createTunnel({ device, local, remote });
observe(tunnel, metrics.getMeter('my-service'));

process.once('SIGINT', () => tunnel.close());
await tunnel.closed;
// Exports the last values.
await provider.shutdown();

function observe(observed, meter) {
  const bytes = meter.createObservableCounter('tunnel.io', {
    unit: 'By',
    description: 'Bytes of inner packets',
  });
  const packets = meter.createObservableCounter('tunnel.packets', { unit: '{packet}' });
  const drops = meter.createObservableCounter('tunnel.dropped', { unit: '{packet}' });
  const up = meter.createObservableGauge('tunnel.up', {
    description: '1 while the peer answers, or nothing is sent',
  });
  // One snapshot for all of them.
  meter.addBatchObservableCallback(
    (result) => {
      const {
        state,
        device: { name },
        encap,
        decap,
      } = observed.stats();
      for (const [direction, counted] of [
        ['transmit', encap],
        ['receive', decap],
      ]) {
        const attributes = { 'network.interface.name': name, 'network.io.direction': direction };
        result.observe(bytes, counted.bytes, attributes);
        result.observe(packets, counted.packets, attributes);
        for (const [reason, count] of Object.entries(counted.drops)) {
          result.observe(drops, count, { ...attributes, reason });
        }
      }
      result.observe(up, state === 'up' || state === 'idle' ? 1 : 0, { 'network.interface.name': name });
    },
    [bytes, packets, drops, up],
  );
}
