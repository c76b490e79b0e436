/**
 * npm run pack: builds, and makes in packed/ the tarballs of `ttun` and of the platform package for this machine. With `-- --platforms`
 * those that are published: of what `npm run build:platforms` has built, for all platforms.
 */
import { build, ensureDependencies } from './lib/build.mjs';
import { gitCommit } from './lib/commit.mjs';
import { artifacts } from './lib/cross-build.mjs';
import { pack } from './lib/pack.mjs';
import { root } from './lib/run.mjs';
import { runScript } from './lib/stop.mjs';
import { checkCompilers } from './lib/tools.mjs';

await runScript(() => {
  checkCompilers();
  ensureDependencies();
  build({ TTUN_COMMIT: gitCommit() });
  pack(process.argv.includes('--platforms') ? artifacts : root);
  return 0;
});
