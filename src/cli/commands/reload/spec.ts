import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'reload',
  summary: 'has a running ttun up load its configuration anew',
  usage: ['[-c <file>] [--pid <pid>] [--json]'],
  description: [
    'Has a running ttun up load its configuration file anew, waits until that is done, and tells which tunnels it changed. Tunnels that are the same in the file go on without losing a packet. A file with a mistake changes nothing, and all its mistakes are told.',
    'When more than one ttun up runs, the file or the process id says which is meant.',
  ],
  operands: [],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'the configuration file of the process that is meant',
      completes: 'file',
    },
    pid: { short: 'p', value: '<pid>', description: 'the id of the process that is meant' },
    json: {
      description:
        'print {"added":[…],"changed":[…],"removed":[…],"unchanged":[…]} with the names of the tunnels, or {"error":{"code","message","hint"}}',
    },
  },
  examples: [
    { does: 'After a change of the configuration', command: 'ttun check && ttun reload' },
    { does: 'One of several', command: 'ttun reload -c /etc/ttun/sites.toml' },
  ],
  exitCodes: {
    0: 'the configuration was loaded',
    1: 'it cannot be used, so nothing has changed; or no such process runs',
  },
} as const satisfies CommandSpec;
