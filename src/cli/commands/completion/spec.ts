import type { CommandSpec } from '../../args.ts';

export const SPEC = {
  name: 'completion',
  summary: 'prints what has a shell complete ttun command lines',
  usage: ['<shell>'],
  description: [
    'Prints a script for bash, zsh or fish, with which the shell completes commands, options and their values, files, TUN devices and the names of running tunnels.',
  ],
  operands: [
    {
      label: '<shell>',
      description:
        'bash, zsh or fish; or tunnels, for the names of the running tunnels, which the scripts ask for',
      completes: ['bash', 'zsh', 'fish'],
    },
  ],
  options: {},
  examples: [
    { does: 'In bash, as a line of ~/.bashrc', command: 'source <(ttun completion bash)' },
    { does: 'In zsh, as a line of ~/.zshrc after compinit', command: 'source <(ttun completion zsh)' },
    { does: 'In fish, once', command: 'ttun completion fish > ~/.config/fish/completions/ttun.fish' },
    {
      does: 'In bash, for all users of a machine with bash-completion',
      command: 'ttun completion bash > /usr/share/bash-completion/completions/ttun',
    },
  ],
} as const satisfies CommandSpec;
