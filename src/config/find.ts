/** Which file is meant where none is named. */
import { existsSync } from 'node:fs';
import { TtunConfigError } from './config-error.ts';

const NAMES = ['ttun.toml', 'ttun.json'] as const;

/**
 * The file that was named, or the one in the working directory.
 *
 * @param named as typed: `-c FILE`
 * @throws TtunConfigError where there is none, or it is not clear which
 */
export function findConfigFile(named: string | undefined): string {
  if (named !== undefined) return named;
  const [first, second] = NAMES.filter((name) => existsSync(name));
  if (first === undefined) {
    throw fault(`there is no ${NAMES.join(' or ')} in ${process.cwd()}`, 'name the file, or write one');
  }
  if (second !== undefined) throw fault(`${first} and ${second} are both here`, 'name the one that is meant');
  return first;
}

function fault(message: string, hint: string): TtunConfigError {
  return new TtunConfigError([{ file: null, line: null, column: null, path: '', message, hint }]);
}
