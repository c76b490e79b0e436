import { constants } from 'node:os';

/** SIGHUP is here because closing a terminal would otherwise kill the process, and leave the device with its offloads on. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Is aborted, with its name as the reason, by the first signal that asks this process to end. A second one ends it at once. */
export function abortOnSignals(signals: readonly (typeof SIGNALS)[number][] = SIGNALS): AbortSignal {
  const controller = new AbortController();
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    // What a shell reports for a program that a signal ended.
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    controller.abort(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return controller.signal;
}
