import test from 'ava';
import { runWeather } from '../../testbed/weather/run.ts';

/** A short run with a fixed seed; `npm run test:weather` runs for minutes, with another seed each time. */
const SEED = 1;
const RUN_MS = 20_000;
/** Generous, so that the result does not depend on how busy this machine is. */
const LIMIT_MS = 15_000;
const BUSY_LIMIT = 0.5;

test('tunnels outlive random changes of the network, and no packet is lost silently', async (t) => {
  t.timeout(5 * 60_000);
  const { changes } = await runWeather({
    seed: SEED,
    forMs: RUN_MS,
    limitMs: LIMIT_MS,
    busyLimit: BUSY_LIMIT,
    say: (line) => t.log(line),
  });
  t.true(changes.length > 0);
  t.deepEqual(
    changes.flatMap(({ change, failures }) => failures.map((failure) => `${change}: ${failure}`)),
    [],
  );
});
