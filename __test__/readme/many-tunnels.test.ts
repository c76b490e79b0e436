import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { run } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { blocksOf, commandsIn, readReadme, section } from './markdown.ts';

/** A host that the README's file fits, on which the gateway's name resolves. */
const PRELUDE = `
  set -meuo pipefail
  until_true() { for _ in $(seq 400); do if "$@"; then return; fi; sleep 0.05; done; echo "never: $*" >&2; return 1; }
  end_what_runs() { for job in $(jobs -p); do kill -- "-$job" || true; done 2>ended.log; wait || true; }
  trap 'cat up.log >&2; end_what_runs' EXIT
  mount -t tmpfs none /run
  cat /etc/hosts >hosts && echo '192.0.2.2 gateway.example' >>hosts && mount --bind hosts /etc/hosts
  ip link set dev lo up
  ip link add veth0 type veth peer name veth1
  ip addr add 192.0.2.1/24 dev veth0
  ip link set dev veth0 up && ip link set dev veth1 up
  ip tuntap add dev tun1 mode tun
`;

/** What a reader does besides typing: use another terminal, wait until something is up, end it. */
function asTyped(command: string): string {
  if (command === 'ttun up') {
    return `ttun up >up.log 2>&1 & up=$!
      until_true grep -qs 'office: attached to tun0' up.log
      until_true grep -qs 'plant: attached to tun1' up.log
      until_true grep -qs 'http://127.0.0.1:9750/' up.log
      until_true eval 'ttun show >/dev/null'`;
  }
  if (command.startsWith('ttun capture')) {
    return `ping -i 0.2 10.0.2.9 >ping.log 2>&1 & ${command.replace('capture', 'capture -c 1')}`;
  }
  // Its findings have tests of their own.
  if (command.startsWith('ttun doctor')) return `${command} || [ $? = 1 ]`;
  if (command.includes('--watch')) {
    return `script -qec 'stty cols 100 rows 30; ${command}' watch.log >/dev/null & until_true grep -qs plant watch.log; kill -- -$!`;
  }
  return command;
}

test('the commands of the README for a configuration file and for watching work as written', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-readme-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'ttun'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`, {
    mode: 0o755,
  });
  const readme = await readReadme();
  const configuration = section(readme, 'Configuration');
  await writeFile(join(folder, 'ttun.toml'), blocksOf(configuration, 'toml')[0] ?? '', { mode: 0o600 });
  const script = [
    `cd '${folder}'`,
    PRELUDE,
    ...commandsIn(configuration).map(asTyped),
    `node -e "fetch('http://127.0.0.1:9750/metrics').then((r) => r.text()).then(console.log)"`,
    ...commandsIn(section(readme, 'Watching')).map(asTyped),
    'kill -INT $up; wait $up',
    '! ip link show dev tun0 2>gone.log',
    'ip link show dev tun1 >there.log',
  ].join('\n');
  const { stdout } = await run(
    ['unshare', '--net', '--mount', '--propagation', 'private', 'bash', '-c', script],
    {
      timeoutMs: 60_000,
      env: {
        ...process.env,
        PATH: `${folder}:${dirname(process.execPath)}:${process.env['PATH']}`,
        TERM: 'xterm',
      },
    },
  );
  t.regex(stdout, /ttun_[^\n]*tunnel="plant"/, 'the metrics');
  t.regex(stdout, /^office\b/m, 'ttun show');
  t.regex(stdout, /10\.0\.2\.1 > 10\.0\.2\.9: ICMP echo request/);
});
