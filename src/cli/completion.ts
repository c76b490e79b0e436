/**
 * `ttun completion`: scripts for shells, which call `ttun completion --complete -- <words of the line>` on each Tab and offer the words
 * that it prints, one per line with a tab and a description after them.
 */
import { readFile, readdir } from 'node:fs/promises';
import { didYouMean } from '../text.ts';
import { parseArguments, UsageError } from './args.ts';
import type { Commands, CommandSpec, Completes, OptionSpec } from './args.ts';
import { PROGRAM } from './tunnel-arguments.ts';

export const SPEC = {
  name: 'completion',
  usage: ['<shell>'],
  description: [
    'Prints a script for bash, zsh or fish that makes the shell complete commands, options and their values, files, TUN devices and the names of running tunnels.',
  ],
  operands: [{ label: '<shell>', description: 'bash, zsh or fish', completes: ['bash', 'zsh', 'fish'] }],
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

export async function run(args: readonly string[], commands: Commands): Promise<number> {
  const [first, separator, ...words] = args;
  if (first === '--complete' && separator === '--') {
    process.stdout.write(await complete(words, commands));
    return 0;
  }
  const [shell = ''] = parseArguments(SPEC, args).operands;
  const script = SCRIPTS.get(shell);
  if (script === undefined) {
    const hint = didYouMean(shell, SCRIPTS.keys()) || '; the supported shells are bash, zsh and fish';
    throw new UsageError(`there is no completion for '${shell}'${hint}`);
  }
  process.stdout.write(script);
  return 0;
}

/** Printed instead of words: the shell should complete file names. No word contains a colon. */
const FILES = ':files';

const BASH = `# bash completion of ttun, printed by: ttun completion bash

_ttun() {
  local word current=\${COMP_WORDS[COMP_CWORD]}
  [[ $current == = ]] && current=
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    if [[ $word == ${FILES} ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    elif [[ $word == "$current"* ]]; then
      COMPREPLY+=("$word")
    fi
  done < <("\${COMP_WORDS[0]}" completion --complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _ttun ttun
`;

const ZSH = `#compdef ttun
# zsh completion of ttun, printed by: ttun completion zsh

_ttun() {
  local -a offered
  offered=("\${(@f)$($words[1] completion --complete -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  if [[ $offered[1] == ${FILES} ]]; then
    compset -P '--*='
    _files
  else
    # _describe expects word:description.
    offered=("\${(@)offered//:/\\\\:}")
    offered=("\${(@)offered/$'\\t'/:}")
    _describe ttun offered
  fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _ttun "$@"
else
  compdef _ttun ttun
fi
`;

const FISH = `# fish completion of ttun, printed by: ttun completion fish

function __ttun_complete
    set -l current "$(commandline -ct)"
    set -l offered (command ttun completion --complete -- (commandline -opc)[2..] "$current" 2>/dev/null)
    if test "$offered" != ${FILES}
        printf '%s\\n' $offered
        return
    end
    set -l option (string match -r '^--[^=]*=' -- $current)
    __fish_complete_path (string sub -s (math 1 + (string length -- "$option")) -- $current) | string replace -r '^' -- "$option"
end

complete -c ttun -f -a '(__ttun_complete)'
`;

const SCRIPTS: ReadonlyMap<string, string> = new Map([
  ['bash', BASH],
  ['zsh', ZSH],
  ['fish', FISH],
]);

type Candidate = readonly [word: string, description: string];

/** @param words what follows `ttun` up to the cursor; the last one, which may be empty, is to be completed */
async function complete(words: readonly string[], commands: Commands): Promise<string> {
  const { before, current, prefix } = splitWords(words);
  const command = await commands.get(before[0] ?? '')?.load();
  const spec = command?.SPEC ?? PROGRAM;
  const { operands, option } = positionIn(spec, command === undefined ? before : before.slice(1));
  const isOption = option === undefined && current.startsWith('-');
  if (isOption) return format(optionsOf(spec));
  const completes = option === undefined ? operandAt(spec, operands)?.completes : option.completes;
  if (completes === 'file') return `${FILES}\n`;
  const candidates = await candidatesFor(completes, commands);
  const others = before.length === 0 ? commandsOf(commands) : [];
  return format([...others, ...candidates].map(([word, description]) => [prefix + word, description]));
}

/** Separates the value of `--option=value` from the option. bash passes these as three words. */
function splitWords(words: readonly string[]): {
  before: readonly string[];
  current: string;
  /** Belongs to the word that is completed. */
  prefix: string;
} {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  if (current === '=') return { before, current: '', prefix: '' };
  const [prefix, option] = /^(--[^=]+)=/.exec(current) ?? [];
  if (prefix === undefined || option === undefined) return { before, current, prefix: '' };
  return { before: [...before, option], current: current.slice(prefix.length), prefix };
}

/** The number of operands before the cursor, and the option whose value is expected there. */
function positionIn(
  { options }: CommandSpec,
  words: readonly string[],
): { operands: number; option: OptionSpec | undefined } {
  let operands = 0;
  let option: OptionSpec | undefined;
  for (const word of words) {
    if (option !== undefined) option = word === '=' ? option : undefined;
    else if (word.startsWith('-')) option = optionWithValue(options, word);
    else operands += 1;
  }
  return { operands, option };
}

function optionWithValue(options: CommandSpec['options'], word: string): OptionSpec | undefined {
  const [, option] =
    Object.entries(options).find(([name, { short }]) => word === `--${name}` || word === `-${short}`) ?? [];
  return option?.value === undefined ? undefined : option;
}

function operandAt({ operands }: CommandSpec, index: number): CommandSpec['operands'][number] | undefined {
  const last = operands.at(-1);
  return operands[index] ?? (last?.label.includes('…') === true ? last : undefined);
}

async function candidatesFor(
  completes: Exclude<Completes, 'file'> | undefined,
  commands: Commands,
): Promise<Candidate[]> {
  if (completes === undefined) return [];
  if (completes === 'command') return commandsOf(commands);
  if (completes === 'device') return (await tunDevices()).map((name) => [name, 'TUN device']);
  if (completes === 'tunnel') return (await tunnelNames()).map((name) => [name, 'running tunnel']);
  return completes.map((word) => [word, '']);
}

function commandsOf(commands: Commands): Candidate[] {
  return [...commands].map(([name, { summary }]) => [name, summary]);
}

/** Without short options, which are no shorter to complete. */
function optionsOf({ options }: CommandSpec): Candidate[] {
  const all: CommandSpec['options'] = { ...options, help: { description: 'print the help' } };
  // The beginning of the description is enough next to the word.
  return Object.entries(all).map(([name, { description }]) => [
    `--${name}`,
    description.split(/[;:(.,]\s/, 1)[0]?.trim() ?? '',
  ]);
}

async function tunDevices(): Promise<string[]> {
  const names = await readdir('/sys/class/net');
  const areTun = await Promise.all(names.map(isTun));
  return names.filter((_name, index) => areTun[index]);
}

/** IFF_TUN of linux/if_tun.h; TAP devices have another flag, and other devices have no such file. */
async function isTun(name: string): Promise<boolean> {
  const flags = await readFile(`/sys/class/net/${name}/tun_flags`, 'utf8').catch(() => '0');
  return (Number(flags) & 1) !== 0;
}

/** The names of all running tunnels to which this user has access. */
async function tunnelNames(): Promise<string[]> {
  const { survey } = await import('../control/client.ts');
  const { replies } = await survey();
  return [...new Set(replies.flatMap(({ reply }) => reply.tunnels.map(({ name }) => name)))];
}

function format(candidates: readonly Candidate[]): string {
  return candidates
    .map(([word, description]) => (description === '' ? `${word}\n` : `${word}\t${description}\n`))
    .join('');
}
