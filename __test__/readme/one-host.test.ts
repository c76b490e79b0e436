import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../testbed/exec.ts';
import { commandsIn, readReadme, ROOT, section } from './markdown.ts';

/** What a reader does besides typing: takes another terminal for what goes on, looks whether it is up, ends a ping. */
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
  set -meuo pipefail # -m: each job is a process group, which can be ended as a whole
  mkdir -p /run/netns && mount -t tmpfs none /run/netns
  until_true() { for _ in $(seq 400); do if "$@"; then return; fi; sleep 0.05; done; echo "never: $*" >&2; return 1; }
  end_what_runs() { for job in $(jobs -p); do kill -- "-$job" || true; done 2>ended.log; wait || true; }
  trap end_what_runs EXIT
`;

test('the steps of the README for one host work as written', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-readme-'));
  t.teardown(() => rm(folder, { recursive: true }));
  // "With ttun on the PATH".
  await writeFile(join(folder, 'ttun'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}dist/bin.js' "$@"\n`);
  await chmod(join(folder, 'ttun'), 0o755);

  const commands = commandsIn(section(await readReadme(), 'One host'));
  t.true(commands.length > 20, 'the README shows the commands');
  const script = `${PRELUDE}\ncd '${folder}'\n${commands.map(asTyped).join('\n')}\n`;
  // In namespaces of their own the steps meet nothing of this machine, and leave nothing.
  await run(['unshare', '--net', '--mount', '--propagation', 'private', 'bash', '-c', script], {
    timeoutMs: 60_000,
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
  });
  t.is(await readFile(join(folder, 'hello.log'), 'utf8'), 'Hello World\n');
  t.regex(await readFile(join(folder, 'siteA.log'), 'utf8'), /10\.0\.2\.2 > 10\.0\.2\.1: ICMP echo request/);
});
