/** The script that has bash complete ttun. It needs no more than bash itself. */
import { quote } from '../../text.ts';
import type { ValueWords, Vocabulary, Words } from './vocabulary.ts';

export function bashScript({ program, commands }: Vocabulary): string {
  const all = [program, ...commands];
  const names = commands.map(({ name }) => name).join(' ');
  return `# Has bash complete ttun. Made by: ttun completion bash

# What may stand somewhere is told by words: file, device, tunnel, command, other for what cannot be known, or =<word>.

# Each of these sets REPLY.

# _ttun_options <command>: its options
_ttun_options() {
  REPLY=
  case "$1" in
${cases(all.map((words) => [quote(words.name), words.options.flatMap(({ spellings }) => spellings).join(' ')]))}
  esac
}

# _ttun_value <command> <option>: what its value may be; nothing where it takes none
_ttun_value() {
  REPLY=
  case "$1 $2" in
${cases(all.flatMap(valueCases))}
  esac
}

# _ttun_operand <command> <number of those before it>: what may stand there
_ttun_operand() {
  REPLY=
  case "$1 $2" in
${cases([["' 0'", 'command device'], ...commands.flatMap(operandCases)])}
  esac
}

_ttun_offer() {
  local kind device flags
  for kind in $REPLY; do
    case "$kind" in
      =*) printf '%s\\n' "\${kind#=}" ;;
      command) printf '%s\\n' ${names} ;;
      tunnel) "\${COMP_WORDS[0]}" completion tunnels 2>/dev/null ;;
      device)
        for device in /sys/class/net/*/tun_flags; do
          [[ -r $device ]] && read -r flags <"$device" && (( flags & 1 )) || continue
          device=\${device%/tun_flags}
          printf '%s\\n' "\${device##*/}"
        done ;;
    esac
  done
}

_ttun() {
  local command= operands=0 option= index word REPLY
  local current=\${COMP_WORDS[COMP_CWORD]}
  for (( index = 1; index < COMP_CWORD; index++ )); do
    word=\${COMP_WORDS[index]}
    if [[ $option ]]; then
      # bash makes three words of --option=value.
      [[ $word == = ]] || option=
    elif [[ $word == -* ]]; then
      _ttun_value "$command" "$word"
      [[ $REPLY ]] && option=$word
    elif [[ ! $command && $operands == 0 && " ${names} " == *" $word "* ]]; then
      command=$word
    else
      operands=$(( operands + 1 ))
    fi
  done
  COMPREPLY=()
  if [[ $option ]]; then
    [[ $current == = ]] && current=
    _ttun_value "$command" "$option"
  elif [[ $current == -* ]]; then
    _ttun_options "$command"
    mapfile -t COMPREPLY < <(compgen -W "$REPLY" -- "$current")
    return
  else
    _ttun_operand "$command" "$operands"
  fi
  if [[ $REPLY == file ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$(_ttun_offer)" -- "$current")
  fi
}

complete -F _ttun ttun
`;
}

type Case = readonly [patterns: string, words: string];

function cases(all: readonly Case[]): string {
  return all.map(([patterns, words]) => `    ${patterns}) REPLY=${quote(words)} ;;`).join('\n');
}

function valueCases({ name, options }: Words): Case[] {
  return options.flatMap(({ spellings, value }) =>
    value === null
      ? []
      : [[spellings.map((spelling) => quote(`${name} ${spelling}`)).join('|'), kinds(value)] as const],
  );
}

function operandCases({ name, operands }: Words): Case[] {
  return operands.map((operand, index) => [
    operand.repeats ? `${quote(`${name} `)}*` : quote(`${name} ${index}`),
    kinds(operand),
  ]);
}

function kinds({ completes }: ValueWords): string {
  if (completes === null) return 'other';
  return typeof completes === 'string' ? completes : completes.map((word) => `=${word}`).join(' ');
}
