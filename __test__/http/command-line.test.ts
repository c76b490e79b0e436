import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { startTtun } from '../../testbed/tunnel.ts';

const TUNNEL = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

/** The response to a request from site A. */
async function read(path: string): Promise<string> {
  const program = `
    const response = await fetch('http://127.0.0.1:9750${path}');
    if (!response.ok) throw new Error(String(response.status));
    process.stdout.write(await response.text());
  `;
  return (await sites.a.run([process.execPath, '--input-type=module', '-e', program])).stdout;
}

test.serial('the built program serves its only tunnel under the name of its device', async (t) => {
  const ttun = startTtun(sites.a, ['-q', '--http', '9750', ...TUNNEL]);
  t.teardown(() => ttun[Symbol.asyncDispose]());
  await ttun.waitForLine('http://127.0.0.1:9750/');

  t.regex(await read('/metrics'), /^ttun_state\{tunnel="tun0",state="waiting"\} 1$/m);
  const { process: server, tunnels } = JSON.parse(await read('/stats'));
  t.is(server.pid, ttun.pid);
  t.is(tunnels.length, 1);
  t.like(tunnels[0], { name: 'tun0', device: 'tun0', remote: '10.0.1.2:9000', phase: 'open', problem: null });
  t.regex(await read('/'), /<script type="module" src="page\/main\.js">/);
  t.regex(await read('/page/main.js'), /^import /m);

  const { status } = await ttun.stop('SIGINT');
  t.is(status, 0);
  await t.throwsAsync(read('/stats'), { message: /ECONNREFUSED/ });
});

test.serial(
  'a port in use prevents it from starting, and does not affect the program that uses it',
  async (t) => {
    const first = startTtun(sites.a, ['-q', '--http', '9750', ...TUNNEL]);
    t.teardown(() => first[Symbol.asyncDispose]());
    await first.waitForLine('http://127.0.0.1:9750/');
    const second = startTtun(sites.a, ['-q', '--http', '9750', ...TUNNEL]);
    t.teardown(() => second[Symbol.asyncDispose]());
    t.is((await second.exited).status, 1);
    t.regex(
      second.stderr,
      /cannot serve HTTP at 127\.0\.0\.1:9750: another program is listening there; find it with: ss /,
    );
    t.regex(await read('/metrics'), /^ttun_build_info\{/m);
  },
);

test.serial('an invalid address is wrong usage', async (t) => {
  const ttun = startTtun(sites.a, ['--http', '127.0.0.1:http', ...TUNNEL]);
  t.is((await ttun.exited).status, 2);
  t.regex(ttun.stderr, /'http' is not a TCP port/);
});
