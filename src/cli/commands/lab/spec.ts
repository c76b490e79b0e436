import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'lab',
  summary: 'shows on this machine alone how a tunnel works',
  usage: ['[--keep] [--json]'],
  description: [
    'Shows on this machine alone how a tunnel works. Two network namespaces, siteA and siteB, stand for two hosts joined by a cable; each gets a TUN device, and ttun joins the two devices through UDP.',
    'Every command is printed as it runs. Everything is removed at the end, also on Ctrl-C or failure.',
    'It runs as root, or as an ordinary user where the system allows user namespaces.',
  ],
  operands: [],
  options: {
    keep: { description: 'leave everything up to look around, until Ctrl-C' },
    json: {
      description:
        'print one JSON document on stdout when done, with ok, failure, mode, removed, pings, hello, throughput, tunnels and steps, and the story on stderr',
    },
  },
  examples: [
    { does: 'See a tunnel come up, carry packets and end', command: 'ttun lab' },
    { does: 'Look around in it, from another terminal', command: 'ttun lab --keep' },
  ],
  exitCodes: {
    0: 'everything happened as it should',
    1: 'something did not, or this machine lacks what the lab needs',
    130: 'ended by Ctrl-C; other signals give 128 and their number likewise',
  },
} as const satisfies CommandSpec;
