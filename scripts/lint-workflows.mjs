/** npm run lint:workflows: looks for mistakes in .github/workflows, also in the shell of their steps. */
import { run } from './lib/run.mjs';
import { runScript } from './lib/stop.mjs';
import { requireTool } from './lib/tools.mjs';

await runScript(() => {
  requireTool('shellcheck', 'shellcheck');
  requireTool('go', 'golang-go');
  run('go', ['run', 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.7', '-color=false']);
  return 0;
});
