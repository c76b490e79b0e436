/** npm run pack: builds, and makes in packed/ the tarballs of `ttun` and of `@ttun/binding-…` for each platform that was built. */
import { build, ensureDependencies } from './lib/build.mjs';
import { pack } from './lib/pack.mjs';
import { runScript } from './lib/stop.mjs';
import { checkCompilers } from './lib/tools.mjs';

await runScript(() => {
  checkCompilers();
  ensureDependencies();
  build();
  pack();
  return 0;
});
