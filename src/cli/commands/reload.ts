/** Has a running `ttun up` load its configuration anew. */
import { resolve } from 'node:path';
import { Connection, survey } from '../../control/client.ts';
import type { Found, Silent } from '../../control/client.ts';
import { ControlError } from '../../control/protocol.ts';
import type { ReloadReport } from '../../tunnel-host.ts';
import { parseArguments, UsageError } from '../args.ts';
import { say, sayError } from '../terminal.ts';
import { describeError } from '../text.ts';
import { SPEC } from './reload/spec.ts';
import { describeReload } from './up-events.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { json = false, ...which } = parseArguments(SPEC, args).values;
  try {
    const report = await reload(await chooseProcess(which));
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else say(`configuration loaded anew: ${describeReload(report)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    const { code, message, hint } = error;
    if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
    else sayError(describeError(error));
    return 1;
  }
}

/** @param path of the control socket */
async function reload(path: string): Promise<ReloadReport> {
  await using connection = await Connection.open(path);
  if (connection === null) throw new ControlError('no-answer', 'the process has just ended');
  return await connection.reload();
}

// Which of the running processes is meant.

export interface Choice {
  /** Path of its configuration file. */
  readonly config?: string;
  /** Its process id, as it was typed. */
  readonly pid?: string;
}

/**
 * The control socket of the process that is meant.
 *
 * @throws ControlError when there is none, or more than one
 */
export async function chooseProcess({ config, pid }: Choice): Promise<string> {
  const wantedPid = pid === undefined ? undefined : parsePid(pid);
  const wantedFile = config === undefined ? undefined : resolve(config);
  const { replies, silent } = await survey();
  const candidates = replies.filter(
    ({ reply }) =>
      reply.process.config !== null &&
      (wantedPid === undefined || reply.process.pid === wantedPid) &&
      (wantedFile === undefined || reply.process.config === wantedFile),
  );
  const [chosen, ...others] = candidates;
  if (chosen !== undefined && others.length === 0) return chosen.path;
  if (chosen !== undefined) throw tooMany(candidates);
  throw nobody(silent);
}

function parsePid(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new UsageError(`'${text}' is no process id`);
}

function nobody(silent: readonly Silent[]): ControlError {
  const unknown = silent.map(({ path }) => path).join(', ');
  return new ControlError(
    'no-process',
    `no such ttun up runs${unknown === '' ? '' : `, unless it is one that does not answer: ${unknown}`}`,
    'see what runs with: ttun show',
  );
}

function tooMany(candidates: readonly Found[]): ControlError {
  const list = candidates.map(({ reply }) => `${reply.process.config} (process ${reply.process.pid})`);
  return new ControlError(
    'several-processes',
    `${candidates.length} processes run: ${list.join(', ')}`,
    'say which is meant: ttun reload -c <file>, or --pid <pid>',
  );
}
