/** The output of `ttun doctor`, and its usage errors. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { CATALOGUE, finding, ok } from '../../src/doctor/finding.ts';
import { formatDiagnosis } from '../../src/doctor/report.ts';
import { run, runToEnd } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';

const DIAGNOSIS = {
  sections: [
    { subject: null, findings: [ok('all is well')] },
    {
      subject: {
        title: 'office (tun0)',
        device: 'tun0',
        options: null,
        running: null,
        socket: null,
        silence: null,
      },
      findings: [
        finding('device-down', 'tun0 is down', { commands: ['ip link set dev tun0 up'] }),
        finding('forwarding-off', 'not passed on', { advice: 'or leave it' }),
      ],
    },
  ],
  unchecked: [{ what: 'the firewall', why: 'only root may read its rules' }],
};
const plain = (_style: string, text: string): string => text;

test('each finding has a description, a reason and commands', (t) => {
  t.is(
    formatDiagnosis(DIAGNOSIS, { style: plain, unicode: true }),
    `this machine
  ✓ all is well

office (tun0)
  ✗ tun0 is down
    ${CATALOGUE['device-down'].why}
      ip link set dev tun0 up
  i not passed on
    ${CATALOGUE['forwarding-off'].why}
    or leave it

not checked
  the firewall: only root may read its rules

1 problem, 1 note`,
  );
});

test('the output is plain ASCII in a locale without UTF-8', async (t) => {
  const text = formatDiagnosis(DIAGNOSIS, { style: plain, unicode: false });
  t.regex(text, /^[\n -~]*$/);
  for (const [locale, isAscii] of [
    ['C', true],
    ['C.UTF-8', false],
    ['en_GB.utf8', false],
  ] as const) {
    const { stdout } = await runToEnd([process.execPath, BIN, 'doctor'], { env: { LC_ALL: locale } });
    t.is(/^[\n -~]*$/.test(stdout), isAscii, locale);
  }
});

for (const [what, args, line] of [
  [
    'a name that no device can have',
    ['a/b'],
    /^ttun: \[device\]: "a\/b" is not a valid interface name; .*\(see ttun doctor --help\)\n$/,
  ],
  ['two devices', ['tun0', 'tun1'], /^ttun: unexpected argument 'tun1'; /],
  [
    'a file and a device',
    ['-c', 'ttun.toml', 'tun0'],
    /^ttun: --config examines all tunnels of the file; omit 'tun0' or --config /,
  ],
  [
    'an address without --path',
    ['tun0', '10.0.2.2'],
    /^ttun: 10\.0\.2\.2 is for the measurement of a path: ttun doctor --path tun0 10\.0\.2\.2 /,
  ],
  [
    'a name to measure',
    ['--path', 'tun0', 'b.example'],
    /^ttun: \[address\]: 'b\.example' is not a numeric IP address/,
  ],
  [
    'a multicast address to measure',
    ['--path', '224.0.0.1'],
    /^ttun: \[address\]: 224\.0\.0\.1 is a multicast address/,
  ],
  ['the value of a switch', ['--path=10.0.2.2'], /^ttun: --path takes no value/],
  ['an unknown option', ['--fast'], /^ttun: there is no option --fast /],
] as const) {
  test(`${what} is a usage error`, async (t) => {
    const { status, stdout, stderr } = await runToEnd([process.execPath, BIN, 'doctor', ...args]);
    t.deepEqual([status, stdout], [2, '']);
    t.regex(stderr, line);
  });
}

test('a missing file is reported', async (t) => {
  const { status, stdout, stderr } = await runToEnd([process.execPath, BIN, 'doctor', '-c', '/nowhere.toml']);
  t.deepEqual([status, stdout], [1, '']);
  t.regex(stderr, /^ttun: \/nowhere\.toml: no such file/);
});

function tunnel(name: string, port: number, peer: string, route: string): string {
  return `[tunnels.${name}]
device = "${name}"
local = ":${port}"
remote = "${peer}:${port}"
interface = { create = true, routes = ["${route}/32"] }
`;
}

test('warnings about the file are among the findings', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-doctor-'));
  const file = join(folder, 'ttun.toml');
  const [one, two] = ['192.0.2.1', '192.0.2.2'];
  await writeFile(file, tunnel('one', 8000, one, two) + tunnel('two', 8001, two, one));
  const { stdout } = await runToEnd([process.execPath, BIN, 'doctor', '--json', '-c', file]);
  await rm(folder, { recursive: true });
  const { findings } = JSON.parse(stdout);
  const found = findings.filter(({ code }: { code: string }) => code === 'config-warning');
  t.is(found.length, 1);
  t.regex(found[0].what, /ttun\.toml:10:\d+: .*tunnels one and two are routed into each other/);
  t.regex(found[0].advice, /bindDevice/);
});

test('its help names the file and the exit codes', async (t) => {
  const { stdout } = await run([process.execPath, BIN, 'doctor', '--help']);
  for (const part of ['--config <file>', '--json', 'Exit codes', '[device]'])
    t.true(stdout.includes(part), part);
});
