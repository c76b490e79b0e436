import { isIP } from 'node:net';
import { InvalidValue } from '../address.ts';
import { parseDeviceName } from '../network.ts';
import { parseProbeAddress } from '../probe-options.ts';
import { isUnicode, say, styleFor } from '../terminal.ts';
import { extraArgument, parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';

export const SPEC = {
  name: 'doctor',
  usage: ['[--path] [--json] [device] [address]', '[--path] [--json] --config <file>'],
  description: [
    'Examines this machine, and either one TUN device, the tunnels of a file, or all running tunnels and TUN devices. For each problem it prints a description, why it matters, and the exact command that fixes it. It does not change anything itself.',
    'Any user can run it. Checks that need root are listed as not checked.',
    'With --path it also measures the path of each running tunnel to its peer, which takes some seconds: round-trip time, loss, the largest packets that pass in each direction, fragments, and congestion marks (ECN).',
  ],
  operands: [
    {
      label: '[device]',
      description: 'a TUN device, existing or not, and the tunnel that runs on it',
      completes: 'device',
    },
    {
      label: '[address]',
      description:
        'with --path: an address of the peer inside the tunnel, which must answer pings; by default the address of the probe, or one guessed from the addresses and routes of the device',
    },
  ],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'examine the tunnels of this file and the routes to their peers',
      completes: 'file',
    },
    path: { description: 'measure the path to the peer' },
    json: { description: 'print one JSON document, described in docs/doctor.md' },
  },
  examples: [
    { does: 'Diagnose tun0', command: 'ttun doctor tun0' },
    { does: 'Measure the path to a peer', command: 'ttun doctor --path tun0 10.0.2.2' },
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
  const { config, json = false, path = false } = values;
  const { device, address } = parseOperands(operands, path);
  if (config !== undefined && device !== null) {
    throw new UsageError(`--config examines all tunnels of the file; omit '${device}' or --config`);
  }
  // Loaded here, not for the help and for completion.
  const { diagnose, onRouteTo, subjectsOfDevice, subjectsOfFile, subjectsOfHost } =
    await import('../doctor/diagnosis.ts');
  const { countOf, formatDiagnosis, toDocument } = await import('../doctor/report.ts');
  if (path && process.stderr.isTTY) say('measuring the path; this takes some seconds');
  const diagnosis = await diagnose(
    async (host) => {
      if (config !== undefined) return onRouteTo(address, await subjectsOfFile(config), host);
      if (device !== null) return subjectsOfDevice(device, host);
      return onRouteTo(address, await subjectsOfHost(host), host);
    },
    path ? { address } : null,
  );
  const page = { style: styleFor(process.stdout), unicode: isUnicode() };
  const text = json ? JSON.stringify(toDocument(diagnosis), null, 2) : formatDiagnosis(diagnosis, page);
  process.stdout.write(`${text}\n`);
  return countOf(diagnosis.sections, 'problem') + countOf(diagnosis.sections, 'warning') > 0 ? 1 : 0;
}

interface Operands {
  readonly device: string | null;
  /** Of the peer inside the tunnel. */
  readonly address: string | null;
}

/** An address may stand alone. */
function parseOperands(operands: readonly string[], isPath: boolean): Operands {
  const [first = null, second = null] = operands;
  const device = second === null && first !== null && isAddress(first) ? null : first;
  const address = device === null ? first : second;
  if (device !== null) checkOperand('[device]', () => parseDeviceName(device));
  if (address === null) return { device, address };
  if (!isPath) {
    if (!isAddress(address)) throw extraArgument(address, `ttun doctor ${SPEC.usage[0]}`);
    const form = ['ttun doctor --path', ...operands].join(' ');
    throw new UsageError(`${address} is for the measurement of a path: ${form}`);
  }
  return { device, address: checkOperand('[address]', () => parseProbeAddress(address).text) };
}

function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

function checkOperand<Value>(label: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidValue) throw new UsageError(`${label}: ${error.message}; ${error.hint}`);
    throw error;
  }
}
