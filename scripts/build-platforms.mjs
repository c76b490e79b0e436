/**
 * npm run build:platforms: builds what the platform packages hold, in artifacts/, from this machine. `npm run build:platforms -- <name>…`
 * builds for some platforms only.
 */
import { gitCommit } from './lib/commit.mjs';
import { crossBuild } from './lib/cross-build.mjs';
import { PLATFORMS } from './lib/platforms.mjs';
import { runScript, Stop } from './lib/stop.mjs';
import { checkCompilers } from './lib/tools.mjs';

await runScript(() => {
  const platforms = choose(process.argv.slice(2));
  checkCompilers();
  crossBuild(platforms, { TTUN_COMMIT: gitCommit() });
  return 0;
});

function choose(names) {
  const known = PLATFORMS.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Stop(`${unknown.join(', ')}: unknown; there are ${known.join(', ')}`);
  return names.length === 0 ? PLATFORMS : PLATFORMS.filter(({ name }) => names.includes(name));
}
