import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../testbed/exec.ts';
import { commandsIn, ROOT } from './markdown.ts';

/** What a reader does besides typing: use another terminal, wait until something is up, end a ping. */
function asTyped(command: string): string {
  if (command.includes(' ttun ')) {
    const log = `${/site./.exec(command)?.[0]}.log`;
    return `${command} >${log} 2>&1 & until_true grep -qs "^ttun: .*tun0" ${log}`;
  }
  if (command.includes(' nc -l ')) {
    return `${command} >hello.log & until_true eval 'ip netns exec siteB ss -Hltn | grep -q 10.0.2.2:8000'`;
  }
  if (command.includes('Hello World')) return `${command} & until_true grep -q "Hello World" hello.log`;
  if (command.includes(' ping ')) return command.replace(' ping ', ' ping -c 1 -W 5 ');
  if (command.includes(' netns delete ')) return `end_what_runs; ${command}`;
  return command;
}

const PRELUDE = `
  set -meuo pipefail # -m: each job is a process group of its own
  mkdir -p /run/netns && mount -t tmpfs none /run/netns
  until_true() { for _ in $(seq 400); do if "$@"; then return; fi; sleep 0.05; done; echo "never: $*" >&2; return 1; }
  end_what_runs() { for job in $(jobs -p); do kill -- "-$job" || true; done 2>ended.log; wait || true; }
  trap end_what_runs EXIT
`;

test('the commands of docs/one-host.md work as written', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-one-host-'));
  t.teardown(() => rm(folder, { recursive: true }));
  // "With ttun on the PATH".
  await writeFile(join(folder, 'ttun'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}dist/bin.js' "$@"\n`);
  await chmod(join(folder, 'ttun'), 0o755);

  const commands = commandsIn(await readFile(`${ROOT}docs/one-host.md`, 'utf8'));
  t.true(commands.length > 20, 'the page shows the commands');
  const script = `${PRELUDE}\ncd '${folder}'\n${commands.map(asTyped).join('\n')}\n`;
  // In namespaces of their own, the commands neither touch this machine nor leave anything behind.
  await run(['unshare', '--net', '--mount', '--propagation', 'private', 'bash', '-c', script], {
    timeoutMs: 60_000,
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
  });
  t.is(await readFile(join(folder, 'hello.log'), 'utf8'), 'Hello World\n');
  t.regex(await readFile(join(folder, 'siteA.log'), 'utf8'), /10\.0\.2\.2 > 10\.0\.2\.1: ICMP echo request/);
});
