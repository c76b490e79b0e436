import { parseArguments } from '../args.ts';
import { printHelp } from '../print-help.ts';
import { SPEC } from './help/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { operands } = parseArguments(SPEC, args);
  await printHelp(operands[0]);
  return 0;
}
