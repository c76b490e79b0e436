import { readFile } from 'node:fs/promises';
import test from 'ava';
import { LONGEST_REQUEST, MOST_CLIENTS } from '../../src/control/protocol.ts';
import { run } from '../../testbed/exec.ts';
import type { RunResult } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { startPair } from './pair.ts';
import { Room } from './room.ts';

let sites: Sites;
let room: Room;
let socket: string;
let page: string;
test.before(async () => {
  sites = await createSites();
  room = await Room.open();
  socket = room.socketOf((await startPair(room, sites)).a);
  page = await readFile(new URL('../../docs/control-socket.md', import.meta.url), 'utf8');
});
test.after.always(async () => {
  await room[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

/** The only example on the page with these words. */
function example(language: string, words: string): string {
  const blocks = [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(
    ([, block]) => block ?? '',
  );
  const [found, another] = blocks.filter((block) => block.includes(words));
  if (found === undefined || another !== undefined) throw new Error(`not one example has ${words}`);
  return found;
}

async function ask(request: string): Promise<string> {
  const { stdout } = await run(['socat', '-', `UNIX-CONNECT:${socket}`], { input: request });
  return stdout;
}

function runExample(words: string): Promise<RunResult> {
  return run(['sh', '-c', example('sh', words).replace('/run/ttun/1234.sock', socket)]);
}

test('the examples print the documented output', async (t) => {
  const { stdout: shown } = await runExample('socat');
  t.like(JSON.parse(shown), { protocol: 1, tunnels: [{ name: 'tun0' }] });
  t.is((await runExample('jq')).stdout, '0\n');

  const pings = sites.a.start(['ping', '-i', '0.05', sites.b.inner.ipv4]);
  const { stdout: packets } = await runExample('tcpdump');
  await pings.stop('SIGINT');
  t.is(packets.match(/ICMP echo/g)?.length, 2);
});

test('the requests on the page are accepted, and the errors on it occur', async (t) => {
  t.like(JSON.parse(await ask(example('json', '"show"'))), { tunnels: [{ name: 'tun0' }] });
  t.like(JSON.parse(await ask(example('json', '"reload"'))), { error: { code: 'no-configuration' } });
  t.true((await ask(example('json', 'snapLength'))).startsWith('{"protocol":1,"capture":{"tunnel":"tun0",'));
  const unknown = '{"protocol":1,"request":"capture","tunnel":"tun9"}';
  t.is(await ask(unknown), example('json', 'unknown-tunnel'));
});

test('the limits on the page are the real ones', (t) => {
  t.true(page.includes(`more than ${LONGEST_REQUEST.toLocaleString('en')} bytes`));
  t.true(page.includes(`${MOST_CLIENTS} clients are already connected`));
});

test('every error code is on the page', async (t) => {
  const source = await readFile(new URL('../../src/control/protocol.ts', import.meta.url), 'utf8');
  const codes = [...source.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, code]) => code ?? '');
  t.true(codes.length > 8);
  const answered = codes.filter((code) => !ONLY_AT_CLIENTS.has(code));
  for (const code of answered) t.true(page.includes(`\n| \`${code}\` |`), code);
});

const ONLY_AT_CLIENTS = new Set(['no-directory', 'no-process', 'several-processes', 'no-answer']);
