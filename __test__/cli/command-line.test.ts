import test from 'ava';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { UsageError } from '../../src/cli/args.ts';

const ARGUMENTS = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9001'];

test('the five arguments are device, local end and remote end', (t) => {
  t.like(parseCommandLine(ARGUMENTS), {
    name: 'tunnel',
    options: {
      device: 'tun0',
      local: { address: { family: 4, text: '10.0.1.1' }, port: 9000 },
      remote: { address: { family: 4, text: '10.0.1.2' }, port: 9001 },
    },
    output: 'some-packets',
    http: null,
  });
});

test('IPv6 addresses are accepted without brackets and normalised', (t) => {
  t.like(parseCommandLine(['tun0', '2001:DB8:0::1', '9000', '2001:db8::2', '9000']), {
    options: { local: { address: { text: '2001:db8::1' } } },
  });
  t.like(parseCommandLine(['tun0', 'fe80::1%7', '9000', 'fe80::2%7', '9000']), {
    options: { remote: { address: { text: 'fe80::2', zone: '7' } } },
  });
});

for (const [options, output] of [
  [['-q'], 'nothing'],
  [['--quiet'], 'nothing'],
  [['-v'], 'all-packets'],
  [['--verbose'], 'all-packets'],
  [['--json'], 'json'],
] as const) {
  test(`${options.join(' ')} makes the output ${output}, in any position`, (t) => {
    t.like(parseCommandLine([...options, ...ARGUMENTS]), { output });
    t.like(parseCommandLine([...ARGUMENTS, ...options]), { output });
  });
}

test('--http is the address at which metrics and the page are served', (t) => {
  t.like(parseCommandLine(['--http', '127.0.0.1:9750', ...ARGUMENTS]), { http: '127.0.0.1:9750' });
  t.like(parseCommandLine([...ARGUMENTS, '--http=:9750']), { http: ':9750' });
});

test('--version needs no arguments', (t) => {
  t.deepEqual(parseCommandLine(['--version']), { name: 'version', form: 'text' });
  t.deepEqual(parseCommandLine(['-V', '--json']), { name: 'version', form: 'json' });
});

test('options end at --', (t) => {
  t.like(parseCommandLine(['--', '-tun', ...ARGUMENTS.slice(1)]), { options: { device: '-tun' } });
});

const WRONG: readonly (readonly [args: string, message: string])[] = [
  ['', 'no arguments given; usage: ttun <tun> <local-ip> <local-port> <remote-ip> <remote-port>'],
  [
    'tun0',
    '<local-ip> <local-port> <remote-ip> <remote-port> are missing; usage: ttun tun0 <local-ip> <local-port> <remote-ip> <remote-port>',
  ],
  [
    'tun0 10.0.1.1 9000 10.0.1.2',
    '<remote-port> is missing; usage: ttun tun0 10.0.1.1 9000 10.0.1.2 <remote-port>',
  ],
  [
    'tun0 10.0.1.1 10.0.1.2 9000',
    '<local-port> is missing; usage: ttun tun0 10.0.1.1 <local-port> 10.0.1.2 9000',
  ],
  ['10.0.1.1 9000 10.0.1.2 9000', '<tun> is missing; usage: ttun <tun> 10.0.1.1 9000 10.0.1.2 9000'],
  ['tun0 a b', '<remote-ip> <remote-port> are missing; usage: ttun tun0 a b <remote-ip> <remote-port>'],
  [
    'tun0 10.0.1.1 9000 10.0.1.2 9000 more',
    "unexpected argument 'more'; usage: ttun <tun> <local-ip> <local-port> <remote-ip> <remote-port>",
  ],
  [
    'tun0 10.0.1.1:9000 10.0.1.2:9000',
    "'10.0.1.1:9000' is an address and a port in one argument; separate them: 10.0.1.1 9000",
  ],
  [
    'tun0 [fd00::1]:9000 [fd00::2]:9000',
    "'[fd00::1]:9000' is an address and a port in one argument; separate them: fd00::1 9000",
  ],
  [
    'tun0 10.0.1.256 9000 10.0.1.2 9000',
    "<local-ip>: '10.0.1.256' is not an IPv4 address; write four numbers from 0 to 255, as in 192.0.2.1",
  ],
  [
    'tun0 10.0.1.1 9000 gateway.example 9000',
    "<remote-ip>: 'gateway.example' is not a numeric IP address, and names are not looked up here; find its address with: getent hosts gateway.example",
  ],
  ['tun0 10.0.1.1 9000 [fd00::2] 9000', "<remote-ip>: '[fd00::2]' has brackets; write it as fd00::2"],
  ['tun0 10.0.1.1 0 10.0.1.2 9000', "<local-port>: '0' is not a UDP port; give a number from 1 to 65535"],
  [
    'tun0 10.0.1.1 9000 10.0.1.2 65536',
    "<remote-port>: '65536' is not a UDP port; give a number from 1 to 65535",
  ],
  [
    'tun0 10.0.1.1 http 10.0.1.2 9000',
    "<local-port>: 'http' is not a UDP port; give a number from 1 to 65535",
  ],
  [
    'tun0 fe80::1 9000 fe80::2 9000',
    '<local-ip>: fe80::1 is link-local and exists on every link; name the interface: fe80::1%eth0',
  ],
  ['--fast tun0', 'there is no option --fast'],
  ['--vebrose tun0', 'there is no option --vebrose; did you mean --verbose?'],
  ['-x tun0', 'there is no option -x'],
  ['tun0 10.0.1.1 9000 10.0.1.2 9000 --http', '--http needs a value: --http <listen>'],
  [
    '--http -q tun0 10.0.1.1 9000 10.0.1.2 9000',
    '--http needs a value, and -q looks like an option; if it is the value: --http=-q',
  ],
  ['--json=yes tun0', '--json takes no value'],
  ['-qv tun0', '--quiet and --verbose cannot be combined'],
];

for (const [args, message] of WRONG) {
  test(`'ttun ${args}' gives an error and how to correct it`, (t) => {
    const error = t.throws(() => parseCommandLine(args.split(' ').filter(Boolean)), {
      instanceOf: UsageError,
    });
    t.is(error.message, message);
  });
}
