import type { CommandSpec } from './spec.ts';

/** `ttun` without a command: one tunnel. */
export const PROGRAM = {
  name: '',
  summary: 'joins a TUN device to a UDP socket',
  usage: ['[options] <tun> <local-ip> <local-port> <remote-ip> <remote-port>'],
  description: [
    'Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.',
    'Prints packets as they pass, in the manner of tcpdump, at most ten a second. Packets and JSON go to standard output, everything else to standard error. When standard output is closed, the tunnel goes on without printing.',
    'Ctrl-C ends the tunnel with a summary of what it carried; a second one ends it at once.',
  ],
  operands: [
    {
      label: '<tun>',
      description: 'an existing TUN device: ip tuntap add dev tun0 mode tun [user <name>]',
      completes: 'device',
    },
    { label: '<local-ip>', description: 'the address at which this host receives datagrams' },
    { label: '<local-port>', description: 'the UDP port at which it does' },
    {
      label: '<remote-ip>',
      description:
        'the address of the other host, of the same family; link-local ones as fe80::1%eth0. Datagrams of nobody else are received',
    },
    { label: '<remote-port>', description: 'its UDP port' },
  ],
  options: {
    quiet: { short: 'q', description: 'do not print packets' },
    verbose: {
      short: 'v',
      description: 'print every packet; those that pass too fast for that are counted',
    },
    json: {
      description:
        'print no packets, but events as lines of JSON: attached, then closed or failed, each with the stats',
    },
    http: {
      value: '<listen>',
      description:
        'serve metrics for Prometheus and a page that shows the tunnel live: 9750 for that port of 127.0.0.1, <address>:<port>, or :<port> for all addresses',
    },
    version: {
      short: 'V',
      description: 'print the versions of ttun, its native part, Node and the kernel; with --json as JSON',
    },
  },
  examples: [
    {
      does: 'On the host 192.0.2.1, and with the addresses exchanged on the host 192.0.2.2',
      command: [
        'ip tuntap add dev tun0 mode tun',
        'ip addr add 10.0.2.1/24 dev tun0',
        'ip link set dev tun0 up',
        'ttun tun0 192.0.2.1 8000 192.0.2.2 8000',
      ].join('\n'),
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; when its terminal is closed, it ends by SIGHUP',
    1: 'the tunnel cannot be opened, or failed; a line on standard error says why and what to do',
  },
} as const satisfies CommandSpec;
