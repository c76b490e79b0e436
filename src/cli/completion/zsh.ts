/** The script that has zsh complete ttun: to be sourced after compinit, or as a file _ttun in $fpath. */
import { quote } from '../../text.ts';
import type { OptionWords, ValueWords, Vocabulary, Words } from './vocabulary.ts';

export function zshScript({ program, commands }: Vocabulary): string {
  return `#compdef ttun
# Has zsh complete ttun. Made by: ttun completion zsh

_ttun() {
  local curcontext=$curcontext context state state_descr line ret=1
  local -A opt_args
  _arguments -s -S -C -A '-*' \\
${optionSpecs(program)} \\
    '1: :_ttun_first' '*:: :->rest' && ret=0
  [[ $state == rest ]] || return ret
  case $words[1] in
${commands.map(({ name }) => `    ${name}) _ttun_${functionName(name)} && ret=0 ;;`).join('\n')}
    *) _ttun_tunnel && ret=0 ;;
  esac
  return ret
}

# After a device.
_ttun_tunnel() {
  _arguments -s -S \\
${optionSpecs(program)} \\
${program.operands.slice(1).map(operandSpec).join(' \\\n')}
}

${commands.map(commandFunction).join('\n')}
_ttun_first() {
  local ret=1
  _ttun_commands && ret=0
  _ttun_devices && ret=0
  return ret
}

_ttun_commands() {
  local -a commands=(
${commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`).join('\n')}
  )
  _describe -t commands command commands
}

_ttun_devices() {
  local -a devices
  local flags
  for flags in /sys/class/net/*/tun_flags(N); do
    (( $(<$flags) & 1 )) && devices+=(\${\${flags:h}:t})
  done
  local expl
  _wanted devices expl 'TUN device' compadd -a devices
}

_ttun_tunnels() {
  local -a tunnels=(\${(f)"$(command ttun completion tunnels 2>/dev/null)"})
  local expl
  _wanted tunnels expl 'running tunnel' compadd -a tunnels
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _ttun "$@"
else
  compdef _ttun ttun
fi
`;
}

function commandFunction(words: Words): string {
  const specs = [optionSpecs(words), ...words.operands.map(operandSpec)];
  return `_ttun_${functionName(words.name)}() {\n  _arguments -s -S \\\n${specs.join(' \\\n')}\n}\n`;
}

/** Apart from the names of the other functions. */
function functionName(command: string): string {
  return `command_${command}`;
}

function optionSpecs({ options }: Words): string {
  return options.map((option) => `    ${optionSpec(option)}`).join(' \\\n');
}

/** `'(-w --write)'{-w+,--write=}'[write to a file]:file:_files'` */
function optionSpec({ spellings, short, long, description, value }: OptionWords): string {
  const told = quote(`[${escaped(description)}]${value === null ? '' : valueSpec(value)}`);
  const suffix = value === null ? { short: '', long: '' } : { short: '+', long: '=' };
  if (short === null) return `${long}${suffix.long}${told}`;
  return `${quote(`(${spellings.join(' ')})`)}{-${short}${suffix.short},${long}${suffix.long}}${told}`;
}

function operandSpec(operand: Words['operands'][number], index: number): string {
  return `    ${quote(`${operand.repeats ? '*' : index + 1}${valueSpec(operand)}`)}`;
}

function valueSpec({ label, completes }: ValueWords): string {
  return `:${escaped(label)}:${completes === null ? '' : action(completes)}`;
}

function action(completes: Exclude<ValueWords['completes'], null>): string {
  return typeof completes === 'string' ? ACTIONS[completes] : `(${completes.join(' ')})`;
}

const ACTIONS = {
  file: '_files',
  device: '_ttun_devices',
  tunnel: '_ttun_tunnels',
  command: '_ttun_commands',
} as const;

/** What ends a description or a message. */
function escaped(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
}
