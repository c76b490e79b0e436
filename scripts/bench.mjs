/** npm run bench: builds if necessary, installs the programs to compare with, and measures. See docs/performance.md. */
import { join } from 'node:path';
import { handOver, root, runScript, Stop } from './lib/run.mjs';
import { build, checkCompilers, ensureDependencies, requireTools } from './lib/setup.mjs';

/** Needed for every measurement. Other tunnels take part if they are installed. */
const TOOLS = { ip: 'iproute2', ethtool: 'ethtool', ping: 'iputils-ping', iperf3: 'iperf3', socat: 'socat' };

await runScript(() => {
  const options = process.argv.slice(2);
  ensureDependencies();
  if (!options.includes('--help') && !options.includes('-h')) prepare();
  const register = import.meta.resolve('@oxc-node/core/register');
  return handOver(process.execPath, ['--import', register, join(root, 'bench', 'main.ts'), ...options]);
});

function prepare() {
  if (process.getuid() !== 0)
    throw new Stop('the bench creates network namespaces, which requires root: use sudo');
  checkCompilers();
  requireTools(TOOLS);
  build();
}
