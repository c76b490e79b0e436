import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'doctor',
  summary: 'finds what keeps a tunnel from working or being fast',
  usage: ['[--json] [device]', '[--json] --config <file>'],
  description: [
    'Examines this machine and a TUN device, or the tunnels of a file, or else every tunnel that runs here and every TUN device. For each fault it prints what it is, why it matters, and the exact command that mends it. It changes nothing itself.',
    'Anybody may run it. What only root can see is listed as not checked.',
  ],
  operands: [
    {
      label: '[device]',
      description: 'a TUN device, whether it is there or not; with the tunnel that runs on it',
      completes: 'device',
    },
  ],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'examine the tunnels of this file, with the ways to their peers',
      completes: 'file',
    },
    json: { description: 'print one JSON document, as in docs/doctor.md' },
  },
  examples: [
    { does: 'What is wrong with tun0?', command: 'ttun doctor tun0' },
    { does: 'Will the tunnels of this file work?', command: 'ttun doctor -c ttun.toml' },
    {
      does: 'All commands that would mend something, as root',
      command: "sudo ttun doctor --json | jq -r '.findings[].commands[]'",
    },
  ],
  exitCodes: {
    0: 'nothing is wrong; there may be notes',
    1: 'there are problems or warnings, or the file is not right',
  },
} as const satisfies CommandSpec;
