import type { CommandSpec } from './spec.ts';

/** What exit codes tell, unless a command says it more precisely. */
const COMMON: Readonly<Record<number, string>> = {
  0: 'all went well',
  1: 'it failed; a line on standard error says why and what to do',
  2: 'the arguments make no sense',
};

/** All exit codes of a command with their meaning, in ascending order. */
export function exitCodesOf(spec: CommandSpec): (readonly [code: number, meaning: string])[] {
  const all: Readonly<Record<string, string>> = { ...COMMON, ...spec.exitCodes };
  return Object.entries(all).map(([code, meaning]) => [Number(code), meaning] as const);
}
