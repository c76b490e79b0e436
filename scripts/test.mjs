/** npm test: installs what the tests need, builds, and runs every test of both languages. */
import { accessSync, constants, statSync } from 'node:fs';
import { handOver, outputOf, run, runScript, Stop } from './lib/run.mjs';
import { build, checkCompilers, ensureDependencies, requireTools } from './lib/setup.mjs';

/** Programs that the tests run, and the Debian packages that contain them. */
const TOOLS = {
  ip: 'iproute2',
  ping: 'iputils-ping',
  iperf3: 'iperf3',
  tcpdump: 'tcpdump',
  tshark: 'tshark',
  ethtool: 'ethtool',
  nft: 'nftables',
  nc: 'netcat-openbsd',
  socat: 'socat',
  ps: 'procps',
  tmux: 'tmux',
  jq: 'jq',
  'systemd-analyze': 'systemd',
  jsonschema: 'python3-jsonschema',
  script: 'bsdutils',
  bash: 'bash',
  zsh: 'zsh',
  fish: 'fish',
  man: 'man-db',
  mandoc: 'mandoc',
  promtool: 'prometheus',
  chromium: 'chromium',
};
const TUN = '/dev/net/tun';

await runScript(() => {
  checkMachine();
  if (!isOpenToAll(TUN)) return runAgainWithOpenTun();
  checkCompilers();
  requireTools(TOOLS);
  ensureDependencies();
  build();
  run('node', ['scripts/pack.mjs', '--built']);
  run('cargo', ['test', '--workspace', '--locked', '--quiet']);
  // Programs that the ava tests run.
  run('cargo', ['build', '--locked', '--quiet', '--package', 'ttun-testkit', '--package', 'ttun-cli']);
  run('npx', ['ava', ...process.argv.slice(2)]);
  return 0;
});

/** The tests create network namespaces and TUN devices; without them they would prove nothing, so none is run. */
function checkMachine() {
  if (process.platform !== 'linux') throw new Stop('the tests run real tunnels, which require Linux');
  if (process.getuid() !== 0) {
    throw new Stop('the tests create network namespaces and TUN devices, which requires root: use sudo');
  }
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
  } catch {
    throw new Stop(
      `${TUN} is missing: modprobe tun (in a container: start it with --device ${TUN} --cap-add NET_ADMIN --cap-add SYS_ADMIN)`,
    );
  }
  if (outputOf('unshare', ['--net', '--mount', 'true']) === null) {
    throw new Stop(
      'root may not create network and mount namespaces here (in a container: start it with --cap-add SYS_ADMIN)',
    );
  }
}

/** Whether ordinary users may open it, as udev allows on most systems: the tests run tunnels as such users, too. */
function isOpenToAll(path) {
  return (statSync(path).mode & 0o666) === 0o666;
}

/** Runs this script again in a mount namespace with a device node that all may open; the system's stays as it is. */
function runAgainWithOpenTun() {
  console.log(`${TUN} is closed to ordinary users here; the tests get a node of their own`);
  const ownNode = `mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 ${TUN} c 10 200 && exec "$@"`;
  const again = [process.execPath, ...process.argv.slice(1)];
  return handOver('unshare', ['--mount', 'sh', '-c', ownNode, 'sh', ...again]);
}
