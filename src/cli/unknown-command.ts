import { suggest } from '../suggestion.ts';
import { COMMANDS } from './commands/index.ts';
import { UsageError } from './usage-error.ts';

export function noSuchCommand(name: string): UsageError {
  const meant = suggest(name, COMMANDS.keys());
  const help = meant === null ? '' : `; did you mean ${meant}?`;
  return new UsageError(`there is no command '${name}'${help}`);
}
