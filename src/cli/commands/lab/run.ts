import { runLab } from '../../../lab/index.ts';

export function run(args: readonly string[]): Promise<number> {
  return runLab([...args]);
}
