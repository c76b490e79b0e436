/** npm run bench: builds what has changed, installs the programs it compares with where it may, and measures. See docs/performance.md. */
import { join } from 'node:path';
import { build, ensureDependencies } from './lib/build.mjs';
import { handOver, root } from './lib/run.mjs';
import { runScript, Stop } from './lib/stop.mjs';
import { checkCompilers, requireTool } from './lib/tools.mjs';

/** What no figure can do without; further tunnels take part where they are installed. */
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
    throw new Stop('the bench makes network namespaces, which needs root: use sudo');
  checkCompilers();
  for (const [tool, aptPackage] of Object.entries(TOOLS)) requireTool(tool, aptPackage);
  build();
}
