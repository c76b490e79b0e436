import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';

const ARGUMENTS = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

test.serial('--http serves metrics of the tunnel until it ends', async (t) => {
  await using tunnel = startTtun(sites.a, ['--http', '127.0.0.1:9750', ...ARGUMENTS]);
  const line = await tunnel.waitForLine('serving metrics and a page at');
  t.regex(line, /^ttun: serving metrics and a page at http:\/\/127\.0\.0\.1:9750\/$/);
  const metrics = await fetchInside(sites, '/metrics');
  t.regex(metrics, /tunnel="tun0"/);
  const { tunnels } = JSON.parse(await fetchInside(sites, '/stats'));
  t.like(tunnels[0], { name: 'tun0', phase: 'open', local: '10.0.1.1:9000', remote: '10.0.1.2:9000' });
  t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
});

/** The site has a loopback of its own. */
async function fetchInside({ a }: Sites, path: string): Promise<string> {
  const program = `process.stdout.write(await (await fetch('http://127.0.0.1:9750${path}')).text())`;
  return (await a.run([process.execPath, '--input-type=module', '-e', program])).stdout;
}

test.serial('if --http cannot be served, that is reported and no tunnel is opened', async (t) => {
  await using listener = sites.a.start([
    process.execPath,
    '-e',
    "require('node:net').createServer().listen(9751, '127.0.0.1', () => console.log('listening'))",
  ]);
  await listener.waitForLine('listening');
  const taken = await sites.a.runToEnd([process.execPath, BIN, '--http', '9751', ...ARGUMENTS]);
  t.is(taken.status, 1);
  t.regex(
    taken.stderr,
    /^ttun: cannot serve HTTP at 127\.0\.0\.1:9751: another program is listening there; .*\n$/,
  );
  const wrong = await sites.a.runToEnd([process.execPath, BIN, '--http', 'nowhere', ...ARGUMENTS]);
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /^ttun: cannot serve HTTP: 'nowhere' is not a.*; .* \(see ttun --help\)\n$/);
});
