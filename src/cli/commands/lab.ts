import { runLab } from '../../lab/index.ts';
import { parseArguments } from '../args.ts';
import { SPEC } from './lab/spec.ts';

export function run(args: readonly string[]): Promise<number> {
  const { keep = false, json = false } = parseArguments(SPEC, args).values;
  return runLab({ keep, json });
}
