/** The script that has fish complete ttun. */
import type { OptionWords, ValueWords, Vocabulary, Words } from './vocabulary.ts';

export function fishScript({ program, commands }: Vocabulary): string {
  const names = commands.map(({ name }) => name).join(' ');
  return `# Has fish complete ttun. Made by: ttun completion fish

set -g __ttun_commands ${names}

# __ttun_at <command> [<number>]: whether this is the command so far, with so many arguments before the cursor
function __ttun_at
    set -l command ''
    set -l operands 0
    set -l option ''
    for word in (commandline -opc)[2..]
        if test -n "$option"
            set option ''
            continue
        end
        switch "$command $word"
            case ${[program, ...commands].flatMap(spellingsWithValue).join(' ')}
                set option $word
            case '* -*'
            case '*'
                if test -z "$command" -a $operands -eq 0; and contains -- $word $__ttun_commands
                    set command $word
                else
                    set operands (math $operands + 1)
                end
        end
    end
    test "$command" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; or test $operands -eq $argv[2]
end

function __ttun_devices
    for flags in /sys/class/net/*/tun_flags
        # TUN devices have the lowest bit, TAP devices the next.
        string match --quiet --regex '[13579bdf]$' < $flags; and string split --field 5 / $flags
    end
end

complete -c ttun -f
${program.options.map((option) => optionLine(program, option)).join('\n')}
${commands.map(({ name, summary }) => `complete -c ttun -n ${at(program, 0)} -a ${name} -d ${quote(summary)}`).join('\n')}
${operandLine(program, 0, { label: 'TUN device', completes: 'device' })}
${commands.flatMap(linesOf).join('\n')}
`;
}

function linesOf(words: Words): string[] {
  const options = words.options.map((option) => optionLine(words, option));
  const operands = words.operands
    .map((operand, index) => ({ operand, place: operand.repeats ? null : index }))
    .filter(({ operand }) => operand.completes !== null)
    .map(({ operand, place }) => operandLine(words, place, operand));
  return [...options, ...operands];
}

function optionLine(words: Words, { short, long, description, value }: OptionWords): string {
  const spelling = short === null ? `-l ${long.slice(2)}` : `-s ${short} -l ${long.slice(2)}`;
  const taken = value === null ? '' : ` ${valueOf(value)}`;
  return `complete -c ttun -n ${at(words, null)} ${spelling}${taken} -d ${quote(description)}`;
}

function valueOf({ completes }: ValueWords): string {
  if (completes === 'file') return '-r -F';
  return completes === null ? '-x' : `-x -a ${candidates(completes)}`;
}

function operandLine(words: Words, place: number | null, { completes, label }: ValueWords): string {
  const where = `complete -c ttun -n ${at(words, place)}`;
  if (completes === 'file') return `${where} -F`;
  return `${where} -a ${candidates(completes ?? [])} -d ${quote(label)}`;
}

/** @param place number of the arguments before it; `null` for anywhere */
function at({ name }: Words, place: number | null): string {
  return quote(`__ttun_at "${name}"${place === null ? '' : ` ${place}`}`);
}

function candidates(completes: Exclude<ValueWords['completes'], null | 'file'>): string {
  if (typeof completes !== 'string') return quote(completes.join(' '));
  return quote(CANDIDATES[completes]);
}

const CANDIDATES = {
  device: '(__ttun_devices)',
  tunnel: '(command ttun completion tunnels 2>/dev/null)',
  command: '$__ttun_commands',
} as const;

function spellingsWithValue({ name, options }: Words): string[] {
  return options
    .filter(({ value }) => value !== null)
    .flatMap(({ spellings }) => spellings.map((spelling) => quote(`${name} ${spelling}`)));
}

/** Inside single quotes, fish takes only these two for something else than themselves. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
