/** What shells offer at the end of a line with the script that ttun prints for them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Site } from '../../testbed/site.ts';
import { BIN } from '../../testbed/tunnel.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

/** The environment of a user in a site: an empty home directory, a folder of files, and ttun in the PATH. */
export class ShellUser implements AsyncDisposable {
  readonly folder: string;
  readonly #site: Site;

  private constructor(site: Site, folder: string) {
    this.#site = site;
    this.folder = folder;
  }

  /** @param files in the folder */
  static async create(site: Site, files: readonly string[]): Promise<ShellUser> {
    const root = await mkdtemp(join(tmpdir(), 'ttun-user-'));
    const user = new ShellUser(site, root);
    await mkdir(join(root, 'bin'));
    await mkdir(join(root, 'work'));
    await writeFile(join(root, 'bin', 'ttun'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`, {
      mode: 0o755,
    });
    for (const file of files) await writeFile(join(root, 'work', file), '');
    for (const shell of ['bash', 'zsh', 'fish']) {
      await writeFile(join(root, `script.${shell}`), await user.#run(['ttun', 'completion', shell]));
    }
    return user;
  }

  /** The words that the shell offers for the last one of `line`, sorted. */
  async offered(shell: Shell, line: string): Promise<string[]> {
    const printed = await this.printed(shell, line);
    // fish adds descriptions; zsh and fish repeat the option before its value.
    const words = printed.split('\n').map((word) => word.replace(/\t.*/, '').replace(/^--[\w-]+=/, ''));
    return [...new Set(words)].filter((word) => word !== '').sort();
  }

  /** What the shell prints for this line. */
  printed(shell: Shell, line: string): Promise<string> {
    return this.#run(ASK[shell](join(this.folder, `script.${shell}`), line));
  }

  async #run(command: readonly string[]): Promise<string> {
    const env = {
      ...process.env,
      PATH: `${join(this.folder, 'bin')}:${process.env['PATH']}`,
      HOME: this.folder,
      XDG_CONFIG_HOME: this.folder,
      TERM: 'xterm',
    };
    const inFolder = ['env', '-C', join(this.folder, 'work'), ...command];
    return (await this.#site.run(inFolder, { env })).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

const ASK: Readonly<Record<Shell, (script: string, line: string) => string[]>> = {
  bash: (script, line) => ['bash', '--norc', '-c', ASK_BASH, 'bash', script, ...asBashSplits(line)],
  zsh: (script, line) => ['zsh', '-f', '-c', ASK_ZSH, 'zsh', script, line],
  fish: (script, line) => [
    'fish',
    '--no-config',
    '-c',
    'source $argv[1]; complete -C $argv[2]',
    script,
    line,
  ],
};

/** Calls the completion function as bash does. */
const ASK_BASH = `
  source "$1"
  [[ $(complete -p ttun) == 'complete -F _ttun ttun' ]] || exit 1
  COMP_WORDS=("\${@:2}") COMP_CWORD=$(( $# - 2 ))
  _ttun
  printf '%s\\n' "\${COMPREPLY[@]}"
`;

/** bash also splits words at =, which become words themselves. */
function asBashSplits(line: string): string[] {
  return line
    .split(' ')
    .flatMap((word) => word.split(/(=)/).filter((part, index) => part !== '' || index === 0));
}

/** zsh completes only in its line editor, so one is run in a terminal, where Tab is pressed and the added matches are recorded. */
const ASK_ZSH = `
  zmodload zsh/zpty
  export matches=$(mktemp -p $HOME)
  zpty editor zsh -f -i
  zpty -w editor "PROMPT=; setopt extended_glob no_beep"
  zpty -w editor "autoload -U compinit; compinit -u -D; source $1"
  zpty -w editor 'compadd() {
    if [[ " $* " == *" -"[a-zA-Z0-9]#[OAD]" "* ]]; then builtin compadd "$@"; return; fi
    local -a added; builtin compadd -O added "$@"; print -rl -- $added >> $matches; builtin compadd "$@"
  }'
  zpty -w editor 'set_down() { print END >> $matches }; comppostfuncs=(set_down)'
  zpty -w -n editor "$2"$'\\t'
  for (( tries = 0; tries < 400; tries++ )); do
    grep -q END $matches && break
    zpty -r -t editor chunk '*' || true
    sleep 0.02
  done
  zpty -d editor
  grep -q END $matches || exit 1
  grep -v END $matches || true
`;
