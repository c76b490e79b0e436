/** Options that are given in programs, in files and on the command line, and are refused in the same words everywhere. */
import type { ExecutionContext } from 'ava';
import { UsageError } from '../../src/cli/args.ts';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { resolveOptions } from '../../src/config/resolve.ts';
import { TtunError } from '../../src/errors.ts';
import type { ResolvedOptions } from '../../src/schema.ts';
import { problemsOf } from './refusal.ts';

const GOOD = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
const ARGUMENTS = ['tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'];

/** The options of a program that gives these, besides the required ones. */
export function programmed(options: object = {}): ResolvedOptions {
  return resolveOptions({ ...GOOD, ...options });
}

/** The options of a command line that begins with these arguments. */
export function typed(...args: readonly string[]): Partial<ResolvedOptions> {
  const command = parseCommandLine([...args, ...ARGUMENTS]);
  return command.name === 'tunnel' ? command.options : {};
}

/** The problems of a file with this line, which is the fifth. */
export function inFile(line: string): string {
  return problemsOf(`[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\n${line}\n`).join();
}

/** Shows that an option with this value is refused everywhere; numbers have no place on the command line, where all is text. */
export function refusedEverywhere(
  t: ExecutionContext,
  option: { readonly name: string; readonly argument: string; readonly value: string | number },
  { problem, hint }: { readonly problem: string; readonly hint: string },
): void {
  const { name, argument, value } = option;
  const error = t.throws(() => programmed({ [name]: value }), { instanceOf: TtunError });
  t.is(error?.message, `${name}: ${problem}`);
  t.is(error?.hint, hint);
  t.is(inFile(`${name} = ${JSON.stringify(value)}`), `5: tunnels.a.${name}: ${problem}\n  ${hint}`);
  if (typeof value === 'number') return;
  t.throws(() => typed(`${argument}=${value}`), {
    instanceOf: UsageError,
    message: `${argument}: ${problem}; ${hint}`,
  });
}
