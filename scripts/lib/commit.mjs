import { outputOf } from './run.mjs';

/** For `ttun --version`. Only what is packed is told it, as each new commit would have the native part linked again. */
export function gitCommit() {
  return outputOf('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']) ?? '';
}
