/** The metrics of the process, under the names that all exporters use for them. */
import type { ProcessFacts } from '../process-facts.ts';
import type { Metric } from './metric.ts';

export const PROCESS_METRICS: readonly Metric<ProcessFacts>[] = [
  {
    name: 'ttun_build_info',
    type: 'gauge',
    unit: null,
    help: 'The versions of ttun and of Node: always 1.',
    labels: ['version', 'node'],
    samples: ({ version, node }) => [{ labels: [version, node], value: 1 }],
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    help: 'When the process started.',
    labels: [],
    samples: ({ startedAt }) => [{ labels: [], value: startedAt / 1000 }],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    unit: 'seconds',
    help: 'Processor time that the process took, the threads of its tunnels included.',
    labels: [],
    samples: ({ cpuSeconds }) => [{ labels: [], value: cpuSeconds }],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the process in RAM.',
    labels: [],
    samples: ({ residentBytes }) => [{ labels: [], value: residentBytes }],
  },
];
