import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'show',
  summary: 'shows running tunnels, their state and their traffic',
  usage: ['[--json] [name…]', '--watch [--interval <ms>] [--json] [name…]'],
  description: [
    'Shows every running tunnel of this user, or those with the given names: of ttun up, and those started by hand, which are named after their device. Root sees the tunnels of all users.',
    'With --watch it stays and shows rates, as they are now and over the last minute. Space pauses, the arrow keys scroll, and q ends it.',
  ],
  operands: [
    { label: '[name…]', description: 'names of tunnels; all when none is given', completes: 'tunnel' },
  ],
  options: {
    watch: { short: 'w', description: 'show rates on the whole terminal, until q or Ctrl-C' },
    interval: {
      short: 'i',
      value: '<ms>',
      description: 'with --watch: how often to look, from 100 ms; 1000 by default',
    },
    json: {
      description:
        'print a JSON array with an object for each process, as in docs/control-socket.md; with --watch one line each time',
    },
  },
  examples: [
    { does: 'Show all tunnels', command: 'ttun show' },
    { does: 'Watch one of them', command: 'ttun show --watch office' },
    {
      does: 'How many packets did they drop?',
      command: "ttun show --json | jq '.[].tunnels[].stats.encap.dropped'",
    },
  ],
  exitCodes: { 1: 'there is no tunnel of that name, or a process does not answer' },
} as const satisfies CommandSpec;
