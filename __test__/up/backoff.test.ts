import test from 'ava';
import { Backoff } from '../../src/service/supervisor.ts';

test('a tunnel that can not be opened is tried again less and less often, but at least every 30 seconds', (t) => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 8 }, () => backoff.afterFailure(0));
  t.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('after a minute of running well it begins again with a second, and not after less', (t) => {
  const backoff = new Backoff();
  backoff.afterFailure(0);
  backoff.afterFailure(0);
  t.is(backoff.afterFailure(59_999), 4000);
  t.is(backoff.afterFailure(60_000), 1000);
  t.is(backoff.afterFailure(0), 2000);
});
