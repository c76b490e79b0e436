/** npm start: installs, builds if necessary, and runs `ttun lab` with the arguments given. */
import { join } from 'node:path';
import { handOver, root, runScript } from './lib/run.mjs';
import { build, checkCompilers, ensureDependencies, requireTools } from './lib/setup.mjs';

await runScript(() => {
  checkCompilers();
  requireTools({ ip: 'iproute2' }, 'check');
  ensureDependencies();
  build();
  console.log('\n$ ttun lab');
  return handOver(process.execPath, [join(root, 'dist', 'bin.js'), 'lab', ...process.argv.slice(2)]);
});
