import test from 'ava';
import { highestRateWithoutLoss } from '../../bench/figures/no-loss.ts';
import type { Trial } from '../../bench/figures/no-loss.ts';

/** A path that carries up to `capacity` whole; when it is offered more it loses at least a tenth, and carries at most `overloaded`. */
function path(capacity: number, overloaded: number): (offered: number) => Trial {
  return (offered) => {
    const deliveredPerSecond = offered <= capacity ? offered : Math.min(overloaded, offered * 0.9);
    return { deliveredPerSecond, loss: 1 - deliveredPerSecond / offered };
  };
}

/** Rounds the rate to full thousands, and counts the trials. */
async function search(
  atFullSpeed: Trial,
  carry: (offered: number) => Trial,
): Promise<[number | null, number]> {
  let trials = 0;
  const rate = await highestRateWithoutLoss(atFullSpeed, 6, (offered) => {
    trials += 1;
    return Promise.resolve(carry(offered));
  });
  return [rate === null ? null : Math.round(rate / 1000), trials];
}

test('a path that delivers less when it is overloaded is credited with what it carries when it is not', async (t) => {
  const tunnel = path(289_000, 238_000);
  const [rate, trials] = await search(tunnel(650_000), tunnel);
  t.is(trials, 6);
  t.true(rate !== null && rate > 289 * 0.96 && rate <= 289, `${rate}`);
});

test('a path that delivers more when it is overloaded is searched below that', async (t) => {
  const link = path(332_000, 650_000);
  const [rate, trials] = await search(link(1_000_000), link);
  t.is(trials, 6);
  t.true(rate !== null && rate > 332 * 0.93 && rate <= 332, `${rate}`);
});

test('a path that loses nothing at full speed needs no search', async (t) => {
  t.deepEqual(await search({ deliveredPerSecond: 420_000, loss: 0.0049 }, path(0, 0)), [420, 0]);
});

test('a sender that cannot reach the rate is credited with what arrived', async (t) => {
  const sent = { deliveredPerSecond: 150_000, loss: 0 };
  t.deepEqual(await search({ deliveredPerSecond: 140_000, loss: 0.3 }, () => sent), [150, 6]);
});

test('a path that loses at every rate has none without loss', async (t) => {
  const lossy = path(0, Infinity);
  t.deepEqual(await search(lossy(500_000), lossy), [null, 6]);
  t.deepEqual(await search({ deliveredPerSecond: 0, loss: 1 }, lossy), [null, 0]);
});
