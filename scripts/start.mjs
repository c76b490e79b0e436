/** npm start: from a fresh checkout to a running tunnel. Builds what has changed, then runs `ttun lab` with the arguments given. */
import { join } from 'node:path';
import { build, ensureDependencies } from './lib/build.mjs';
import { handOver, root } from './lib/run.mjs';
import { runScript } from './lib/stop.mjs';
import { checkCompilers, checkTool } from './lib/tools.mjs';

await runScript(() => {
  checkCompilers();
  checkTool('ip', 'iproute2');
  ensureDependencies();
  build();
  console.log('\n$ ttun lab');
  return handOver(process.execPath, [join(root, 'dist', 'bin.js'), 'lab', ...process.argv.slice(2)]);
});
