/** npm run bench: builds if necessary, installs the programs to compare with, and measures. See docs/performance.md. */
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { handOver, root, run, runScript, Stop } from './lib/run.mjs';
import {
  build,
  checkCompilers,
  ensureDependencies,
  hasTool,
  installPackages,
  requireTools,
} from './lib/setup.mjs';

/** Needed for every measurement. */
const TOOLS = {
  ip: 'iproute2',
  tc: 'iproute2',
  ethtool: 'ethtool',
  ping: 'iputils-ping',
  iperf3: 'iperf3',
  socat: 'socat',
  strace: 'strace',
};
/** Other tunnels, which take part if they are installed or can be. */
const WIREGUARD = join(root, 'tools', 'wireguard-go');
const WIREGUARD_BUILT = join(WIREGUARD, 'downloaded');
const OTHERS = {
  openvpn: () => installPackages(['openvpn']),
  fastd: () => installPackages(['fastd']),
  'wireguard-go': buildWireguard,
};

await runScript(() => {
  const options = process.argv.slice(2);
  ensureDependencies();
  process.env.PATH += delimiter + WIREGUARD_BUILT;
  if (!options.includes('--help') && !options.includes('-h')) prepare(options);
  const register = import.meta.resolve('@oxc-node/core/register');
  return handOver(process.execPath, ['--import', register, join(root, 'bench', 'main.ts'), ...options]);
});

function prepare(options) {
  if (process.getuid() !== 0)
    throw new Stop('the bench creates network namespaces, which requires root: use sudo');
  checkCompilers();
  requireTools(TOOLS);
  for (const [name, install] of Object.entries(OTHERS)) {
    if (isWanted(name, options) && !hasTool(name)) installIfPossible(name, install);
  }
  build();
}

/** Whether it takes part, as bench/contenders/index.ts decides. */
function isWanted(name, options) {
  const { values } = parseArgs({
    args: options,
    strict: false,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean' },
      stats: { type: 'boolean' },
    },
  });
  if (values.stats) return false;
  const only = values.only.flatMap((names) => `${names}`.split(','));
  return only.length === 0 ? !values.quick : only.includes(name);
}

/** The bench omits it otherwise, and says so. */
function installIfPossible(name, install) {
  try {
    install();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`${name} is not installed: ${error.message}`);
  }
}

/** tools/wireguard-go/go.sum has the hashes of its sources. */
function buildWireguard() {
  // Where go.dev says to unpack it, which is rarely on root's PATH.
  if (!hasTool('go')) process.env.PATH += delimiter + '/usr/local/go/bin';
  if (!hasTool('go')) throw new Stop('building it requires Go 1.21 or later: https://go.dev/doc/install');
  const program = join(WIREGUARD_BUILT, 'wireguard-go');
  run('go', ['build', '-C', WIREGUARD, '-o', program, 'golang.zx2c4.com/wireguard']);
}
