/** Has a running `ttun up` load its configuration anew. */
import { Connection } from '../../../control/client.ts';
import { ControlError } from '../../../control/error.ts';
import type { ReloadReport } from '../../../service/host.ts';
import { parseArguments } from '../../parse.ts';
import { say, sayError } from '../../talk.ts';
import { describeError } from '../../wording.ts';
import { describeReload } from '../up/story.ts';
import { chooseProcess } from './choice.ts';
import { SPEC } from './spec.ts';

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
