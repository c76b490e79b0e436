/** The commands by name, in the order in which the help lists them. Nothing of a command is loaded before it is asked for. */
import type { CommandSpec } from '../args.ts';

export interface CommandModules {
  /** What the command takes. */
  readonly spec: () => Promise<{ readonly SPEC: CommandSpec }>;
  /** What it does. */
  readonly run: () => Promise<Command>;
}

export interface Command {
  /**
   * Runs the command. `--help` never gets here.
   *
   * @param args what follows the command's name
   * @returns the exit code
   * @throws UsageError when the arguments make no sense
   */
  run(args: readonly string[]): Promise<number>;
}

export const COMMANDS: ReadonlyMap<string, CommandModules> = new Map<string, CommandModules>([
  ['up', { spec: () => import('./up/spec.ts'), run: () => import('./up.ts') }],
  ['reload', { spec: () => import('./reload/spec.ts'), run: () => import('./reload.ts') }],
  ['check', { spec: () => import('./check/spec.ts'), run: () => import('./check.ts') }],
  ['show', { spec: () => import('./show/spec.ts'), run: () => import('./show.ts') }],
  ['capture', { spec: () => import('./capture/spec.ts'), run: () => import('./capture.ts') }],
  ['doctor', { spec: () => import('./doctor/spec.ts'), run: () => import('./doctor.ts') }],
  ['lab', { spec: () => import('./lab/spec.ts'), run: () => import('./lab.ts') }],
  ['completion', { spec: () => import('./completion/spec.ts'), run: () => import('./completion.ts') }],
  ['help', { spec: () => import('./help/spec.ts'), run: () => import('./help.ts') }],
]);

/** The specs of all commands, in the same order. */
export function loadSpecs(): Promise<CommandSpec[]> {
  return Promise.all([...COMMANDS.values()].map(async ({ spec }) => (await spec()).SPEC));
}
