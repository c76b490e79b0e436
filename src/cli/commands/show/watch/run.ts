import { setTimeout as sleep } from 'node:timers/promises';
import { survey } from '../../../../control/client.ts';
import { describeNetworkNamespace } from '../../../../control/process-report.ts';
import { endByHangUp } from '../../../hang-up.ts';
import { abortOnSignals } from '../../../signals.ts';
import { UsageError } from '../../../usage-error.ts';
import { toDocuments } from '../documents.ts';
import { Watch } from './watch.ts';

export interface WatchOptions {
  /** Lines of JSON instead of a view. */
  readonly json: boolean;
  readonly intervalMs: number;
}

/** Looks again and again, until a key or a signal ends it. */
export async function runWatch(
  names: readonly string[],
  { json, intervalMs }: WatchOptions,
): Promise<number> {
  if (!json) requireTerminal();
  const signal = abortOnSignals();
  // Nobody may be there any more to see it.
  const gone = new AbortController();
  process.stdout.on('error', () => gone.abort());
  const ended = AbortSignal.any([signal, gone.signal]);
  if (json) await printDocuments(names, intervalMs, ended);
  else await new Watch(names, (await describeNetworkNamespace()).inode, intervalMs).run(ended);
  if (signal.reason === 'SIGHUP') endByHangUp();
  return 0;
}

async function printDocuments(
  names: readonly string[],
  intervalMs: number,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    const next = performance.now() + intervalMs;
    const found = await survey();
    // A reader that is slow gets fewer of them.
    if (!process.stdout.writableNeedDrain) {
      process.stdout.write(`${JSON.stringify(toDocuments(found, names))}\n`);
    }
    await sleep(Math.max(0, next - performance.now()), undefined, { signal: ended }).catch(() => {});
  }
}

function requireTerminal(): void {
  if (process.stdout.isTTY && process.env['TERM'] !== 'dumb') return;
  throw new UsageError(
    '--watch draws on a terminal, and this is none; for programs: ttun show --watch --json prints a line each time',
  );
}
