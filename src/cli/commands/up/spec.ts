import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'up',
  summary: 'runs the tunnels of a configuration file',
  usage: ['[-c <file>] [--http <listen>] [--json] [name…]'],
  description: [
    'Runs all tunnels of a configuration file, or only those named, until Ctrl-C or SIGTERM ends it with a line about what each has carried.',
    'A tunnel that cannot be opened, or that fails later, is tried again, at first after a second and then less and less often, up to every 30 seconds. The others go on meanwhile.',
    'SIGHUP, or ttun reload, loads the file anew. Tunnels that are the same in it go on without losing a packet; a file with a mistake changes nothing. When the terminal in which it was started is closed, it ends.',
    'It tells systemd when it is ready, how its tunnels are, and that it is alive.',
  ],
  operands: [{ label: '[name…]', description: 'run only these tunnels of the file' }],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'the configuration file, in TOML, or in JSON if its name ends in .json',
      completes: 'file',
    },
    http: {
      value: '<listen>',
      description:
        'serve metrics for Prometheus and a page that shows the tunnels live, in place of what the file says: 9750 for that port of 127.0.0.1, <address>:<port>, or :<port> for all addresses',
    },
    json: {
      description:
        'print a line of JSON for each event: {"event":"attached","tunnel":"office","stats":{…}}; the others are waiting, failed, impaired, peer, closed, serving, reloaded and reload-failed',
    },
  },
  examples: [
    { does: 'Run all tunnels of ttun.toml', command: 'ttun up' },
    { does: 'Run one of them', command: 'ttun up -c /etc/ttun/sites.toml office' },
    { does: 'Run them as a service, by /etc/ttun/sites.toml', command: 'systemctl enable --now ttun@sites' },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; when its terminal is closed, it ends by SIGHUP',
    1: 'the configuration cannot be used, or its HTTP port is taken; no tunnel was opened',
    70: 'it met with a bug of its own, and should be started again: a service is',
  },
} as const satisfies CommandSpec;
