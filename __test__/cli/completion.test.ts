import test from 'ava';
import { COMMANDS } from '../../src/cli/commands.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { runToEnd } from '../../testbed/exec.ts';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { ShellUser } from './shells.ts';

let sites: Sites;
let user: ShellUser;
let tunnel: BackgroundProcess;
test.before(async () => {
  sites = await createSites();
  await sites.a.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap');
  await sites.a.ip('tuntap', 'add', 'dev', 'lan7', 'mode', 'tun');
  tunnel = startTtun(sites.a, ['-q', 'lan7', '10.0.1.1', '9000', '10.0.1.2', '9000']);
  await waitFor('the tunnel to be visible', async () => {
    return (await sites.a.runToEnd([process.execPath, BIN, 'show', 'lan7'])).status === 0;
  });
  user = await ShellUser.create(sites.a, ['office.toml', 'plant.toml']);
});
test.after.always(async () => {
  await tunnel.stop('SIGINT');
  await user[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

const OFFERS: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['ttun ', ['lan7', 'tun0', ...COMMANDS.keys()]],
  ['ttun la', ['lab', 'lan7']],
  ['ttun comp', ['completion']],
  ['ttun completion ', ['bash', 'fish', 'zsh']],
  ['ttun completion z', ['zsh']],
  ['ttun help ', [...COMMANDS.keys()]],
  ['ttun lab --', ['--help', '--json', '--keep']],
  ['ttun --ver', ['--verbose', '--version']],
  ['ttun tun0 --qu', ['--quiet']],
  ['ttun --quiet t', ['tun0']],
  ['ttun --http 9750 tu', ['tun0']],
  ['ttun --http ', []],
  // The only running tunnel with that name.
  ['ttun show lan', ['lan7']],
  ['ttun show --watch lan', ['lan7']],
  ['ttun capture lan', ['lan7']],
  ['ttun capture -d ', ['in', 'out']],
  ['ttun capture --direction=o', ['out']],
  ['ttun up --config=pl', ['plant.toml']],
  ['ttun capture -d o', ['out']],
  ['ttun -c pl', []],
  ['ttun capture -w ', ['office.toml', 'plant.toml']],
  ['ttun up -c pl', ['plant.toml']],
  ['ttun check o', ['office.toml']],
];

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} completes commands, options, their values and devices`, async (t) => {
    for (const [line, offered] of OFFERS) {
      t.deepEqual(await user.offered(shell, line), [...offered].sort(), line);
    }
  });
}

test('words have descriptions, which zsh and fish show', async (t) => {
  const { stdout } = await runToEnd([process.execPath, BIN, 'completion', '--complete', '--', 'show', '-']);
  t.is(stdout.split('\n')[0], '--watch\tshow live rates on the whole terminal until q or Ctrl-C');
  t.is(await user.printed('fish', 'ttun comp'), 'completion\tprints a completion script for a shell\n');
});

test('an unknown shell is refused', async (t) => {
  const refused = async (shell: string): Promise<string> => {
    const { status, stderr } = await runToEnd([process.execPath, BIN, 'completion', shell]);
    t.is(status, 2);
    return stderr;
  };
  const help = ' (see ttun completion --help)\n';
  t.is(await refused('bahs'), `ttun: there is no completion for 'bahs'; did you mean bash?${help}`);
  t.is(
    await refused('tcsh'),
    `ttun: there is no completion for 'tcsh'; the supported shells are bash, zsh and fish${help}`,
  );
});
