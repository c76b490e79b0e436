import { runLab } from '../../../lab/index.ts';
import { parseArguments } from '../../parse.ts';
import { SPEC } from './spec.ts';

export function run(args: readonly string[]): Promise<number> {
  const { keep = false, json = false } = parseArguments(SPEC, args).values;
  return runLab({ keep, json });
}
