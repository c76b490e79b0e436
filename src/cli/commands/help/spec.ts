import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'help',
  summary: 'explains a command',
  usage: ['[command]'],
  description: ['Explains a command, as --help after its name does; without one, how ttun is used.'],
  operands: [{ label: '[command]', description: 'which command', completes: 'command' }],
  options: {},
  examples: [{ does: 'What ttun lab does', command: 'ttun help lab' }],
} as const satisfies CommandSpec;
