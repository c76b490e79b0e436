/** `npm run test:weather`: random changes of the network under running tunnels. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runWeather, tableOf } from './run.ts';

const HELP = `Usage: npm run test:weather -- [options]

Changes addresses, routes, links and devices at random under running tunnels, and checks that traffic is back in time, that no packet
is lost silently, and that no processor is used while nothing can move.

  --seed N         determines the changes (default: a random one, which is printed)
  --minutes N      default 5
  --limit-ms N     within which traffic must be back (default 2000)
  --only KIND      only this kind of change (repeatable)
  --replay FILE    these changes instead, one a line, as they are printed
  --fresh          start ttun again after each change, which tests the test
  --on-failure CMD run by sh at a failure, with the namespaces in $A, $B and $R
  --go-on          continue after a failure
`;

// A normal exit removes the namespaces.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    'limit-ms': { type: 'string', default: '2000' },
    only: { type: 'string', multiple: true },
    replay: { type: 'string' },
    fresh: { type: 'boolean', default: false },
    'on-failure': { type: 'string' },
    'go-on': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const replay = values.replay === undefined ? undefined : await readChanges(values.replay);
  say(`seed ${seed}`);
  const result = await runWeather({
    seed,
    forMs: Number(values.minutes) * 60_000,
    limitMs: Number(values['limit-ms']),
    busyLimit: 0.05,
    goOn: values['go-on'],
    fresh: values.fresh,
    say,
    ...(values['on-failure'] === undefined ? {} : { onFailure: values['on-failure'] }),
    ...(replay === undefined ? {} : { replay }),
    ...(values.only === undefined ? {} : { kinds: values.only }),
  });
  const failed = result.changes.filter(({ failures }) => failures.length > 0).length;
  say(`\n${tableOf(result)}\n\nseed ${seed}: ${result.changes.length} changes, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function say(line: string): void {
  console.log(line);
}

/** A line may be one that was printed, with its outcome after a colon. */
async function readChanges(path: string): Promise<string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.replace(/:.*/, '').trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('seed'));
}
