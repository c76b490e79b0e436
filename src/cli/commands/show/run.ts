import { survey } from '../../../control/client.ts';
import type { Survey } from '../../../control/client.ts';
import { userId } from '../../../control/directories.ts';
import { ControlError } from '../../../control/error.ts';
import { describeNetworkNamespace } from '../../../control/process-report.ts';
import { parseArguments } from '../../parse.ts';
import { runningTunnels, withNames } from '../../running.ts';
import type { RunningTunnel } from '../../running.ts';
import { styleFor } from '../../style.ts';
import { say, sayError } from '../../talk.ts';
import { UsageError } from '../../usage-error.ts';
import { describeError } from '../../wording.ts';
import { toDocuments } from './documents.ts';
import { SPEC } from './spec.ts';
import { describeTunnel } from './tunnel-text.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands: names } = parseArguments(SPEC, args);
  const { watch = false, json = false, interval } = values;
  if (watch) {
    const { runWatch } = await import('./watch/run.ts');
    return runWatch(names, { json, intervalMs: parseInterval(interval) });
  }
  if (interval !== undefined) throw new UsageError('--interval goes with --watch');
  const found = await survey();
  try {
    const tunnels = withNames(runningTunnels(found), names);
    if (json) printJson(found, names);
    else await printText(tunnels);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    sayError(describeError(error));
    return 1;
  }
  return reportSilent(found);
}

function printJson(found: Survey, names: readonly string[]): void {
  process.stdout.write(`${JSON.stringify(toDocuments(found, names), null, 2)}\n`);
}

async function printText(tunnels: readonly RunningTunnel[]): Promise<void> {
  if (tunnels.length === 0) {
    say(noTunnel());
    return;
  }
  const viewer = {
    uid: userId(),
    namespace: (await describeNetworkNamespace()).inode,
    style: styleFor(process.stdout),
  };
  process.stdout.write(`${tunnels.map((tunnel) => describeTunnel(tunnel, viewer)).join('\n\n')}\n`);
}

function noTunnel(): string {
  return userId() === 0
    ? 'no tunnel runs'
    : 'no tunnel of this user runs; those of all users: sudo ttun show';
}

function reportSilent({ silent }: Survey): number {
  for (const { error } of silent) sayError(error.message);
  return silent.length === 0 ? 0 : 1;
}

const DEFAULT_INTERVAL_MS = 1000;
const INTERVAL_LIMITS = { least: 100, most: 3_600_000 };

function parseInterval(text = String(DEFAULT_INTERVAL_MS)): number {
  const ms = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  const { least, most } = INTERVAL_LIMITS;
  if (ms >= least && ms <= most) return ms;
  throw new UsageError(`--interval: '${text}' is not a number of milliseconds from ${least} to ${most}`);
}
