import test from 'ava';
import { Backoff } from '../../src/service/supervised-tunnel.ts';

test('retries become less frequent, down to one every 30 seconds', (t) => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 8 }, () => backoff.afterFailure(0));
  t.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('the delay is a second again after a tunnel was open for a minute, and not before', (t) => {
  const backoff = new Backoff();
  backoff.afterFailure(0);
  backoff.afterFailure(0);
  t.is(backoff.afterFailure(59_999), 4000);
  t.is(backoff.afterFailure(60_000), 1000);
  t.is(backoff.afterFailure(0), 2000);
});
