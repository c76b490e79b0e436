import { InvalidValue } from '../address.ts';
import { parseDeviceName } from '../network.ts';
import { isUnicode, styleFor } from '../terminal.ts';
import { parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';

export const SPEC = {
  name: 'doctor',
  usage: ['[--json] [device]', '[--json] --config <file>'],
  description: [
    'Examines this machine, and either one TUN device, the tunnels of a file, or all running tunnels and TUN devices. For each problem it prints a description, why it matters, and the exact command that fixes it. It does not change anything itself.',
    'Any user can run it. Checks that need root are listed as not checked.',
  ],
  operands: [
    {
      label: '[device]',
      description: 'a TUN device, existing or not, and the tunnel that runs on it',
      completes: 'device',
    },
  ],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'examine the tunnels of this file and the routes to their peers',
      completes: 'file',
    },
    json: { description: 'print one JSON document, described in docs/doctor.md' },
  },
  examples: [
    { does: 'Diagnose tun0', command: 'ttun doctor tun0' },
    { does: 'Check whether the tunnels of a file will work', command: 'ttun doctor -c ttun.toml' },
    {
      does: 'List all commands that fix a problem, as root',
      command: "sudo ttun doctor --json | jq -r '.findings[].commands[]'",
    },
  ],
  exitCodes: {
    0: 'no problems or warnings; there may be notes',
    1: 'there are problems or warnings, or the file is invalid',
  },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands } = parseArguments(SPEC, args);
  const { config, json = false } = values;
  const [device] = operands;
  if (config !== undefined && device !== undefined) {
    throw new UsageError(`--config examines all tunnels of the file; omit '${device}' or --config`);
  }
  if (device !== undefined) checkName(device);
  // Loaded here, not for the help and for completion.
  const { diagnose, subjectsOfDevice, subjectsOfFile, subjectsOfHost } =
    await import('../doctor/diagnosis.ts');
  const { countOf, formatDiagnosis, toDocument } = await import('../doctor/report.ts');
  const diagnosis = await diagnose((host) => {
    if (config !== undefined) return subjectsOfFile(config);
    return device === undefined ? subjectsOfHost(host) : subjectsOfDevice(device, host);
  });
  const page = { style: styleFor(process.stdout), unicode: isUnicode() };
  const text = json ? JSON.stringify(toDocument(diagnosis), null, 2) : formatDiagnosis(diagnosis, page);
  process.stdout.write(`${text}\n`);
  return countOf(diagnosis.sections, 'problem') + countOf(diagnosis.sections, 'warning') > 0 ? 1 : 0;
}

function checkName(device: string): void {
  try {
    parseDeviceName(device);
  } catch (error) {
    if (error instanceof InvalidValue) throw new UsageError(`[device]: ${error.message}; ${error.hint}`);
    throw error;
  }
}
