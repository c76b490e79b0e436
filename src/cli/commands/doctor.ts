import { InvalidValue, parseDeviceName } from '../../address.ts';
import { diagnose, subjectsOfDevice, subjectsOfFile, subjectsOfHost } from '../../doctor/diagnosis.ts';
import type { HostFacts, Subject } from '../../doctor/facts.ts';
import { countOf, formatDiagnosis, toDocument } from '../../doctor/report.ts';
import { TtunError } from '../../errors.ts';
import { parseArguments, UsageError } from '../args.ts';
import { isUnicode, sayError, styleFor } from '../terminal.ts';
import { describeError } from '../text.ts';
import { SPEC } from './doctor/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands } = parseArguments(SPEC, args);
  const { config, json = false } = values;
  const [device] = operands;
  if (config !== undefined && device !== undefined) {
    throw new UsageError(`--config examines all tunnels of the file; leave out '${device}' or --config`);
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
