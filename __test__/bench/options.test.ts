import test from 'ava';
import { chooseContenders } from '../../bench/contenders/index.ts';
import { OptionError, parseOptions } from '../../bench/options.ts';
import type { Options } from '../../bench/options.ts';

function parsed(...args: string[]): Options {
  const options = parseOptions(args);
  if (options === null) throw new Error('help');
  return options;
}

test('by default everything is measured, with CUBIC, in three rounds', (t) => {
  const { links, only, rounds, congestion, subject } = parsed();
  t.deepEqual(links, ['veth', 'wire', 'wire-checksum', 'slow-20', 'slow-100', 'far-20']);
  t.deepEqual([only, rounds, congestion, subject], [[], 3, 'cubic', 'contenders']);
  t.is(parsed('--quick').rounds, 1);
  t.is(parsed('--quick', '--rounds', '2').rounds, 2);
});

for (const [args, message] of [
  [['--link', 'slow'], /^--link slow: must be one of veth, wire, wire-checksum, slow-20, slow-100, far-20$/],
  [['--rounds', '0'], /^--rounds 0: must be a whole number from 1$/],
  [['--seconds', '1.5'], /^--seconds 1.5: must be a whole number from 1$/],
  [['--ttun', 'dist'], /^--ttun dist: must be LABEL=DIRECTORY/],
  [['--conjestion', 'bbr'], /'--conjestion'/],
  [['wire'], /'wire'/],
] as const) {
  test(`${args.join(' ')} is refused with what would be right`, (t) => {
    t.throws(() => parseOptions(args), { instanceOf: OptionError, message });
  });
}

test('a contender that does not exist is refused with the names of those that do', async (t) => {
  await t.throwsAsync(chooseContenders(parsed('--only', 'vxlan,wireguard')), {
    instanceOf: OptionError,
    message:
      /^--only wireguard: must be among bare, vxlan, ttun-1472, .*ttun-rate, socat, wireguard-go, openvpn, fastd$/,
  });
});

test('a contender whose program is missing is named as absent', async (t) => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    const { contenders, absent } = await chooseContenders(parsed('--only', 'bare,vxlan,socat,openvpn'));
    t.deepEqual(
      contenders.map(({ name }) => name),
      ['bare', 'vxlan'],
    );
    t.deepEqual(absent, ['socat', 'openvpn']);
  } finally {
    process.env['PATH'] = path;
  }
});
