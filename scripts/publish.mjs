/** node scripts/publish.mjs <folder>: publishes the tarballs in it that are not published yet. For the release workflow. */
import { publish } from './lib/publish.mjs';
import { runScript, Stop } from './lib/stop.mjs';

await runScript(() => {
  const [folder, ...settings] = process.argv.slice(2);
  if (folder === undefined)
    throw new Stop('which folder holds the tarballs? node scripts/publish.mjs packed');
  publish(folder, settings);
  return 0;
});
