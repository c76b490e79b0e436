/** npm run test:weather: random changes of the network under running tunnels. See testbed/weather/run.ts. */
import { join } from 'node:path';
import { handOver, root, runScript, Stop } from './lib/run.mjs';
import { build, checkCompilers, ensureDependencies, requireTools } from './lib/setup.mjs';

/** Programs that it runs, and the Debian packages that contain them. */
const TOOLS = { ip: 'iproute2', nft: 'nftables' };

await runScript(() => {
  const options = process.argv.slice(2);
  ensureDependencies();
  if (!options.includes('--help') && !options.includes('-h')) prepare();
  const register = import.meta.resolve('@oxc-node/core/register');
  const main = join(root, 'testbed', 'weather', 'main.ts');
  return handOver(process.execPath, ['--import', register, main, ...options]);
});

function prepare() {
  if (process.getuid() !== 0)
    throw new Stop('the weather test creates network namespaces, which requires root: use sudo');
  checkCompilers();
  requireTools(TOOLS);
  build();
}
