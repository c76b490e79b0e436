import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'check',
  summary: 'finds what is wrong with a configuration file',
  usage: ['[--json] [file]'],
  description: [
    'Reads a configuration as ttun up would, and tells all that is wrong with it at once: file, line, key, what is wrong, and below that what would be right. Nothing but the file is looked at, so that it can be done on another host; ttun doctor looks at the devices, addresses and routes of this one.',
    'Warnings are about what works, but is hardly meant so; they leave the exit code at 0.',
  ],
  operands: [
    {
      label: '[file]',
      description: 'a .toml or .json file; ttun.toml or ttun.json of this directory when none is named',
      completes: 'file',
    },
  ],
  options: {
    json: {
      description:
        'print an object with file, tunnels (names), problems and warnings, each with file, line, column, path, message and hint',
    },
  },
  examples: [
    { does: 'Check ttun.toml of this directory', command: 'ttun check' },
    {
      does: 'Check before a reload',
      command: 'ttun check /etc/ttun/office.toml && systemctl reload ttun@office',
    },
    { does: 'Count what is wrong', command: "ttun check --json | jq '.problems | length'" },
  ],
  exitCodes: { 1: 'something is wrong with the file, or it cannot be read' },
} as const satisfies CommandSpec;
