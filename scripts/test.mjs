/** npm test: installs what the tests need, builds, and runs every test of both languages. */
import { constants, accessSync } from 'node:fs';
import { build, ensureDependencies } from './lib/build.mjs';
import { pack } from './lib/pack.mjs';
import { outputOf, root, run } from './lib/run.mjs';
import { Stop, runScript } from './lib/stop.mjs';
import { checkCompilers, requireTool } from './lib/tools.mjs';
import { everybodyMayOpenTun, runAgainWithOpenTun } from './lib/tun-node.mjs';

/** Programs that the tests run, and the Debian packages that hold them. */
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
  unshare: 'util-linux',
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

await runScript(() => {
  checkMachine();
  // The tests run tunnels as ordinary users, too.
  if (!everybodyMayOpenTun()) return runAgainWithOpenTun();
  checkCompilers();
  for (const [name, aptPackage] of Object.entries(TOOLS)) requireTool(name, aptPackage);
  checkNamespaces();
  ensureDependencies();
  build();
  pack(root);
  run('cargo', ['test', '--workspace', '--locked', '--quiet']);
  // The ava tests send and capture raw packets by it.
  run('cargo', ['build', '--locked', '--quiet', '--package', 'ttun-testkit']);
  run('npx', ['ava', ...process.argv.slice(2)]);
  return 0;
});

/** The tests make network namespaces and TUN devices; without them nothing would be shown, so nothing is run. */
function checkMachine() {
  if (process.platform !== 'linux') throw new Stop('the tests need Linux: they run real tunnels');
  if (process.getuid() !== 0) {
    throw new Stop('the tests make network namespaces and TUN devices, so they need root: sudo npm test');
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new Stop(
      'there is no /dev/net/tun to test with: modprobe tun (in a container: start it with --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN)',
    );
  }
}

function checkNamespaces() {
  if (outputOf('unshare', ['--net', '--mount', 'true']) === null) {
    throw new Stop(
      'this machine does not let root make network and mount namespaces, in which the tests run (in a container: start it with --cap-add SYS_ADMIN)',
    );
  }
}
