/** Which of the running processes is meant. */
import { resolve } from 'node:path';
import { survey } from '../../../control/client.ts';
import type { Found, Silent } from '../../../control/client.ts';
import { ControlError } from '../../../control/error.ts';
import { UsageError } from '../../usage-error.ts';

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
