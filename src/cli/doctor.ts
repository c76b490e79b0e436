import { InvalidValue, parseDeviceName } from '../address.ts';
import { diagnose, subjectsOfDevice, subjectsOfFile, subjectsOfHost } from '../doctor/diagnosis.ts';
import type { HostFacts, Subject } from '../doctor/facts.ts';
import { countOf, formatDiagnosis, toDocument } from '../doctor/report.ts';
import { TtunError } from '../errors.ts';
import { isUnicode, sayError, styleFor } from '../terminal.ts';
import { parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';
import { describeError } from './text.ts';

export const SPEC = {
  name: 'doctor',
  usage: ['[--json] [device]', '[--json] --config <file>'],
  description: [
    'Examines this machine and one TUN device, the tunnels of a file, or every running tunnel and every TUN device. For each problem it prints what is wrong, why it matters, and the exact command that fixes it. It changes nothing itself.',
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
    { does: 'What is wrong with tun0?', command: 'ttun doctor tun0' },
    { does: 'Will the tunnels of this file work?', command: 'ttun doctor -c ttun.toml' },
    {
      does: 'As root, all commands that would fix something',
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
  try {
    const diagnosis = await diagnose(chooser(config, device));
    const { sections } = diagnosis;
    const page = { style: styleFor(process.stdout), unicode: isUnicode() };
    const text = json ? JSON.stringify(toDocument(diagnosis), null, 2) : formatDiagnosis(diagnosis, page);
    process.stdout.write(`${text}\n`);
    return countOf(sections, 'problem') + countOf(sections, 'warning') > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    sayError(describeError(error));
    return 1;
  }
}

function chooser(
  config: string | undefined,
  device: string | undefined,
): (host: HostFacts) => Promise<Subject[]> {
  if (config !== undefined) return () => subjectsOfFile(config);
  if (device !== undefined) return () => subjectsOfDevice(device);
  return subjectsOfHost;
}

function checkName(device: string): void {
  try {
    parseDeviceName(device);
  } catch (error) {
    if (error instanceof InvalidValue) throw new UsageError(`[device]: ${error.message}; ${error.hint}`);
    throw error;
  }
}
