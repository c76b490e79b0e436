/** npm test: installs what the tests need, builds, and runs every test of both languages. */
import { build, ensureDependencies } from './lib/build.mjs';
import { pack } from './lib/pack.mjs';
import { root, run } from './lib/run.mjs';
import { runScript } from './lib/stop.mjs';
import { checkTestMachine } from './lib/test-machine.mjs';
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
  checkTestMachine();
  // The tests run tunnels as ordinary users, too.
  if (!everybodyMayOpenTun()) return runAgainWithOpenTun();
  checkCompilers();
  for (const [name, aptPackage] of Object.entries(TOOLS)) requireTool(name, aptPackage);
  ensureDependencies();
  build();
  pack(root);
  run('cargo', ['test', '--workspace', '--locked', '--quiet']);
  // The ava tests send and capture raw packets by the one, and run the other.
  run('cargo', ['build', '--locked', '--quiet', '--package', 'ttun-testkit', '--package', 'ttun-cli']);
  run('npx', ['ava', ...process.argv.slice(2)]);
  return 0;
});
