import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { startPair } from './pair.ts';
import { Room } from './room.ts';

let sites: Sites;
let room: Room;
test.before(async () => {
  sites = await createSites();
  room = await Room.open();
  await startPair(room, sites);
});
test.after.always(async () => {
  await room[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

const WRONG: readonly (readonly [what: string, args: readonly string[], status: number, message: RegExp])[] =
  [
    ['an unknown tunnel', ['tun9'], 1, /^ttun: there is no tunnel tun9; running: tun0\n$/],
    [
      'a process without it',
      ['tun0', '--pid', '1'],
      1,
      /^ttun: process 1 has no tunnel tun0; choose one that has: --pid \d+ /,
    ],
    [
      'a file that cannot be created',
      ['tun0', '-w', '/nowhere/x.pcap'],
      1,
      /^ttun: cannot write to \/nowhere\/x\.pcap: no such file or directory\n$/,
    ],
    [
      'a full disk',
      ['tun0', '-w', '/dev/full'],
      1,
      /ttun: cannot write to \/dev\/full: no space left on device\n$/,
    ],
    ['no name', [], 2, /^ttun: <name> is missing/],
    ['a count of 0', ['tun0', '-c', '0'], 2, /^ttun: --count: '0' is not a number from 1 /],
    [
      'a snap length that is too long',
      ['tun0', '-s', '65536'],
      2,
      /^ttun: --snap-length: '65536' is not a number from 1 to 65535 /,
    ],
    ['a third direction', ['tun0', '-d', 'up'], 2, /^ttun: --direction: 'up' is neither in nor out /],
    ['JSON in a file', ['tun0', '--json', '-w', 'x'], 2, /^ttun: --json and --write cannot be combined/],
  ];

for (const [what, args, expected, message] of WRONG) {
  test.serial(`${what} gives one line and exit code ${expected}`, async (t) => {
    const { status, stdout, stderr } = await room.ttun(['capture', ...args], { site: sites.a });
    t.is(status, expected);
    t.is(stdout, '');
    t.regex(stderr, message);
  });
}
