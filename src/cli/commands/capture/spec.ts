import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'capture',
  summary: 'shows the packets of a running tunnel, or records them',
  usage: ['[-w <file>] [-c <count>] [-s <bytes>] [-d in|out] <name>'],
  description: [
    'Shows the packets that pass through a running tunnel, as they are inside it, both directions in order of time: printed in the manner of tcpdump, or with -w written to a file. The tunnel is not held up: packets that pass too fast are counted, and the count is said at the end.',
    'A tunnel that was started by hand is named after its device. Ctrl-C ends the capture, and so does the end of the tunnel.',
  ],
  operands: [{ label: '<name>', description: 'name of the tunnel', completes: 'tunnel' }],
  options: {
    write: {
      short: 'w',
      value: '<file>',
      description:
        'write to this file, or with - to standard output: in the pcap format, or in pcapng, which tells the directions too, when its name ends in .pcapng',
      completes: 'file',
    },
    count: { short: 'c', value: '<count>', description: 'end after this many packets' },
    'snap-length': {
      short: 's',
      value: '<bytes>',
      description: 'only the beginning of each packet; whole packets by default',
    },
    direction: {
      short: 'd',
      value: '<way>',
      description: 'only packets that come in from the peer, or go out to it',
      completes: ['in', 'out'],
    },
    pid: { value: '<pid>', description: 'the tunnel of this process, where several have one of that name' },
    json: {
      description:
        'print a JSON object for each packet, one a line: {"timestamp","direction","length","description","data"}, with ms since the epoch, in or out, bytes, the packet in words, and its bytes in base64',
    },
  },
  examples: [
    { does: 'See what passes', command: 'ttun capture tun0' },
    { does: 'Keep 1,000 packets for Wireshark', command: 'ttun capture tun0 -c 1000 -w tun0.pcapng' },
    {
      does: 'Let tcpdump choose what to print',
      command: 'ttun capture tun0 -w - | tcpdump -n -r - tcp port 80',
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C, by the count, or with the tunnel',
    1: 'there is no such tunnel, or the file cannot be written',
  },
} as const satisfies CommandSpec;
