/** The commands by name. Nothing of a command is loaded before it is asked for. */

export interface Command {
  /**
   * Runs the command.
   *
   * @param args what follows the command's name
   * @returns the exit code
   * @throws UsageError when the arguments make no sense
   */
  run(args: readonly string[]): Promise<number>;
}

export const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['lab', () => import('./lab/run.ts')],
]);
