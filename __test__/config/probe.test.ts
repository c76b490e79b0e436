/** The option `probe`: in programs, in files, and on the command line. */
import test from 'ava';
import { UsageError } from '../../src/cli/args.ts';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { resolveOptions } from '../../src/config/resolve.ts';
import { TtunError } from '../../src/errors.ts';
import { parseConfig } from '../../src/index.ts';
import type { TunnelOptions } from '../../src/options.ts';
import type { ResolvedProbe } from '../../src/probe-options.ts';

const GOOD = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
const ARGUMENTS = ['tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'];

function resolved(probe: Required<TunnelOptions>['probe']): ResolvedProbe | null {
  return resolveOptions({ ...GOOD, probe }).probe;
}

function typed(...args: readonly string[]): ResolvedProbe | null {
  const command = parseCommandLine([...args, ...ARGUMENTS]);
  return command.name === 'tunnel' ? command.options.probe : null;
}

const ADDRESSES = [
  ['10.0.2.2', { family: 4, text: '10.0.2.2' }],
  ['FD00:2::0:2', { family: 6, text: 'fd00:2::2' }],
  ['fe80::2', { family: 6, text: 'fe80::2' }],
] as const;

test('an address is enough', (t) => {
  for (const [written, address] of ADDRESSES) {
    t.deepEqual(resolved({ address: written }), { address, intervalMs: 1000, size: null });
    t.deepEqual(typed('--probe', written), { address, intervalMs: 1000, size: null });
  }
  t.is(typed(), null);
});

const INTERVALS: readonly (readonly [written: string, ms: number])[] = [
  ['10ms', 10],
  ['200ms', 200],
  ['12.5 ms', 12.5],
  ['20000us', 20],
  ['1s', 1000],
  ['1.5 s', 1500],
  ['1m', 60_000],
  ['2min', 120_000],
  ['1h', 3_600_000],
];

test('an interval has a unit, or is a number of milliseconds', (t) => {
  for (const [interval, ms] of INTERVALS) {
    t.is(resolved({ address: '10.0.2.2', interval })?.intervalMs, ms, interval);
    t.is(typed('--probe=10.0.2.2', '--probe-interval', interval)?.intervalMs, ms, interval);
  }
  t.is(resolved({ address: '10.0.2.2', interval: 200 })?.intervalMs, 200);
});

test('the size is that of the whole packet', (t) => {
  for (const [address, size] of [
    ['10.0.2.2', 44],
    ['fd00:2::2', 64],
    ['10.0.2.2', 65_507],
  ] as const) {
    t.is(resolved({ address, size })?.size, size);
    t.is(typed('--probe', address, '--probe-size', `${size}`)?.size, size);
  }
});

/** The same message and hint in a program and on the command line. */
const WRONG: readonly (readonly [
  probe: { readonly address: string; readonly interval?: string; readonly size?: number },
  key: 'address' | 'interval' | 'size',
  problem: string,
  hint: RegExp,
])[] = [
  [
    { address: 'peer.example' },
    'address',
    "'peer.example' is not a numeric IP address, and names are not looked up here",
    /getent/,
  ],
  [{ address: '10.0.2' }, 'address', "'10.0.2' is not an IPv4 address", /four numbers/],
  [{ address: '10.0.2.2/24' }, 'address', "'10.0.2.2/24' is not an IP address", /write it as/],
  [{ address: '0.0.0.0' }, 'address', '0.0.0.0 is not an address of the peer', /tunnel device/],
  [{ address: '::' }, 'address', ':: is not an address of the peer', /tunnel device/],
  [{ address: '127.0.0.1' }, 'address', '127.0.0.1 is not an address of the peer', /tunnel device/],
  [{ address: '::1' }, 'address', '::1 is not an address of the peer', /tunnel device/],
  [{ address: '224.0.0.1' }, 'address', '224.0.0.1 is a multicast address', /one host/],
  [{ address: '255.255.255.255' }, 'address', '255.255.255.255 is a broadcast address', /one host/],
  [{ address: 'ff02::1' }, 'address', 'ff02::1 is a multicast address', /one host/],
  [{ address: 'fe80::2%tun0' }, 'address', "'fe80::2%tun0' has a zone, which is not needed here", /omit/],
  [{ address: '10.0.2.2', interval: '1' }, 'interval', "'1' has no unit", /'1ms' or '1s'/],
  [{ address: '10.0.2.2', interval: 'soon' }, 'interval', "'soon' is not a duration", /'200ms'/],
  [{ address: '10.0.2.2', interval: '1d' }, 'interval', "'1d' is not a duration", /'200ms'/],
  [{ address: '10.0.2.2', interval: '9ms' }, 'interval', '9 ms is too short an interval', /10ms/],
  [{ address: '10.0.2.2', interval: '0s' }, 'interval', '0 ms is too short an interval', /10ms/],
  [{ address: '10.0.2.2', interval: '2h' }, 'interval', '120 min is too long an interval', /1h/],
  [{ address: 'fd00:2::2', size: 63 }, 'size', '63 is not the size of a probe over IPv6', /64 to 65507/],
];

for (const [probe, key, problem, hint] of WRONG) {
  test(`${JSON.stringify(probe)} is refused in the same words everywhere`, (t) => {
    const error = t.throws(() => resolveOptions({ ...GOOD, probe }), { instanceOf: TtunError });
    t.is(error?.message, `probe.${key}: ${problem}`);
    t.regex(error?.hint ?? '', hint);
    const { address, interval, size } = probe;
    const args = [
      ['--probe', address],
      interval === undefined ? [] : ['--probe-interval', interval],
      size === undefined ? [] : ['--probe-size', `${size}`],
    ].flat();
    const option = key === 'address' ? '--probe' : `--probe-${key}`;
    const usage = t.throws(() => typed(...args), { instanceOf: UsageError });
    t.is(usage?.message, `${option}: ${problem}; ${error?.hint}`);
  });
}

test('sizes and keys that cannot be are refused', (t) => {
  const message = (probe: object): string => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the point is what happens without the help of types
    const options = { ...GOOD, probe } as TunnelOptions;
    return t.throws(() => resolveOptions(options), { instanceOf: TtunError })?.message ?? '';
  };
  t.is(message({ address: '10.0.2.2', size: 43 }), 'probe.size: 43 is not the size of a probe');
  t.is(message({ address: '10.0.2.2', size: 65_508 }), 'probe.size: 65508 is not the size of a probe');
  t.is(message({ address: '10.0.2.2', size: 84.5 }), 'probe.size: 84.5 is not the size of a probe');
  t.is(
    message({ address: '10.0.2.2', interval: Number.NaN }),
    'probe.interval: NaN is not a string or a number',
  );
  t.is(message({ address: '10.0.2.2', interval: -1 }), 'probe.interval: -1 ms is too short an interval');
  t.is(message({ interval: '1s' }), 'probe.address: is missing');
  t.is(message({ address: '10.0.2.2', every: '1s' }), 'probe.every: unknown option');
  t.throws(() => typed('--probe', '10.0.2.2', '--probe-size', 'big'), { message: /^--probe-size: / });
});

test('a probe that is only an address is refused with its right form', (t) => {
  const options = { ...GOOD, probe: '10.0.2.2' };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the point is what happens without the help of types
  const inProgram = t.throws(() => resolveOptions(options as unknown as TunnelOptions), {
    instanceOf: TtunError,
  });
  t.is(inProgram?.hint, "give an object of options such as { address: '10.0.2.2' }");
  const inFile = t.throws(() =>
    parseConfig('[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\nprobe = "10.0.2.2"', {
      format: 'toml',
    }),
  );
  t.regex(inFile?.message ?? '', /give a table of options such as \{ address = '10\.0\.2\.2' \}$/);
});

test('the other options of a probe need its address', (t) => {
  t.throws(() => typed('--probe-interval', '1s'), { message: '--probe-interval needs --probe <address>' });
  t.throws(() => typed('--probe-size', '84'), { message: '--probe-size needs --probe <address>' });
});

test("an address of this end's own device is refused", (t) => {
  const options = {
    ...GOOD,
    probe: { address: '10.0.2.1' },
    interface: { addresses: ['fd00:2::1/64', '10.0.2.1/24'] },
  };
  t.throws(() => resolveOptions(options), {
    message: "probe: probes 10.0.2.1, which is an address of this end's own device",
  });
});

function through(address: string, own: string): TunnelOptions {
  return { ...GOOD, probe: { address }, interface: { addresses: [own] } };
}

test('the broadcast address of a network of the device is refused', (t) => {
  t.throws(() => resolveOptions(through('10.0.2.255', '10.0.2.1/24')), {
    message: 'probe: probes 10.0.2.255, which is the broadcast address of 10.0.2.1/24',
  });
  for (const [address, own] of [
    ['10.0.2.255', '10.0.2.1/23'],
    ['10.0.2.1', '10.0.2.0/31'],
  ] as const) {
    t.notThrows(() => resolveOptions(through(address, own)));
  }
});

/** The warning about a probe of `address` through this interface, if there is one. */
function warning(address: string, settings: string): string | undefined {
  const text = `[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\nprobe.address = "${address}"\n${settings}`;
  const { warnings } = parseConfig(text, { format: 'toml' });
  return warnings.map(({ line, path, message }) => `${line}: ${path}: ${message}`).join();
}

test('an address that is in no network of the tunnel is a warning', (t) => {
  const addresses = 'interface.addresses = ["10.0.2.1/24", "fd00:2::1/64"]';
  const routes = 'interface.routes = ["10.9.0.0/16"]';
  t.is(
    warning('10.0.3.2', addresses),
    '5: tunnels.a.probe.address: 10.0.3.2 is in no network of interface.addresses or interface.routes',
  );
  t.regex(warning('fd00:3::2', `${addresses}\n${routes}`) ?? '', /fd00:3::2 is in no network/);
  t.is(
    warning('fd00:2::2', 'interface.create = true\ninterface.addresses = ["10.0.2.1/24"]'),
    '5: tunnels.a.probe.address: fd00:2::2 cannot be probed while the device has no IPv6 address',
  );
  for (const address of ['10.0.2.2', 'fd00:2::2', '10.9.1.1', 'fe80::2']) {
    t.is(warning(address, `${addresses}\n${routes}`), '', address);
  }
  // The device may have addresses and routes of which the file says nothing.
  t.is(warning('10.0.3.2', ''), '');
  t.is(warning('10.0.3.2', 'interface.mtu = 1400'), '');
});
