import { Connection } from '../control/client.ts';
import { ControlError } from '../control/protocol.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import { say, sayError } from '../terminal.ts';
import { parseArguments } from './args.ts';
import type { CommandSpec } from './args.ts';
import { describeReload } from './events.ts';
import { findProcess } from './running.ts';
import { describeError } from './text.ts';

export const SPEC = {
  name: 'reload',
  usage: ['[-c <file>] [--pid <pid>] [--json]'],
  description: [
    'Reloads the configuration file of a running ttun up, waits until that is done, and reports which tunnels changed. Tunnels whose configuration is the same, or differs only in the rate, continue without losing a packet; addresses, routes, MTU and state that their devices have lost are restored. A file with mistakes changes nothing; all its mistakes are listed.',
    'If more than one ttun up is running, choose one by its file or process ID.',
  ],
  operands: [],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'the configuration file of the process',
      completes: 'file',
    },
    pid: { short: 'p', value: '<pid>', description: 'the ID of the process' },
    json: {
      description:
        'print {"added":[…],"changed":[…],"removed":[…],"unchanged":[…]} with the names of the tunnels, and "restored":{…} with the settings that were restored on their devices, or {"error":{"code","message","hint"}}',
    },
  },
  examples: [
    { does: 'After editing the configuration', command: 'ttun check && ttun reload' },
    { does: 'One of several processes', command: 'ttun reload -c /etc/ttun/sites.toml' },
  ],
  exitCodes: {
    0: 'the configuration was reloaded',
    1: 'the configuration is invalid and nothing changed, or no such process is running',
  },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { json = false, ...choice } = parseArguments(SPEC, args).values;
  try {
    const report = await reload(await findProcess(choice));
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else say(`configuration reloaded: ${describeReload(report)}`);
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
