/** npm run pack: builds, and makes in packed/ the tarballs of `ttun` and of `@ttun/binding-…` for each platform that was built. */
import { build, ensureDependencies } from './lib/build.mjs';
import { pack } from './lib/pack.mjs';
import { outputOf } from './lib/run.mjs';
import { runScript } from './lib/stop.mjs';
import { checkCompilers } from './lib/tools.mjs';

await runScript(() => {
  checkCompilers();
  ensureDependencies();
  build({ TTUN_COMMIT: commit() });
  pack();
  return 0;
});

/** For `ttun --version`. Only what is packed is told it, as each new commit would have the native part linked again. */
function commit() {
  return outputOf('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']) ?? '';
}
