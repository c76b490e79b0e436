import { parseArguments } from './args.ts';
import type { CommandSpec } from './args.ts';

export const SPEC = {
  name: 'lab',
  usage: ['[--keep] [--json]'],
  description: [
    'Demonstrates a tunnel on a single machine. Two network namespaces, siteA and siteB, act as two hosts connected by a cable; each gets a TUN device, and ttun joins the two devices over UDP.',
    'Every command is printed as it runs. Everything is removed at the end, also after Ctrl-C or a failure.',
    'It runs as root, or as an ordinary user where the system allows user namespaces.',
  ],
  operands: [],
  options: {
    keep: { description: 'leave everything running until Ctrl-C, for inspection' },
    json: {
      description:
        'at the end, print one JSON document with ok, failure, mode, removed, pings, hello, throughput, tunnels and steps; the commands and messages go to standard error',
    },
  },
  examples: [
    { does: 'See a tunnel start, carry packets and end', command: 'ttun lab' },
    { does: 'Keep it running to inspect it from another terminal', command: 'ttun lab --keep' },
  ],
  exitCodes: {
    0: 'every step succeeded',
    1: 'a step failed, or something that the lab needs is missing',
    130: 'ended by Ctrl-C; other signals give 128 plus their number',
  },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { keep = false, json = false } = parseArguments(SPEC, args).values;
  // Loaded here, not for the help and for completion.
  const { runLab } = await import('../lab/index.ts');
  return runLab({ keep, json });
}
