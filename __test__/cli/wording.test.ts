import test from 'ava';
import { describeError, grouped } from '../../src/cli/text.ts';
import { TtunError } from '../../src/errors.ts';

test('an error is printed with its hint, if it has one', (t) => {
  t.is(describeError(new TtunError('ERR_TTUN_SYSTEM', 'it broke')), 'it broke');
  t.is(describeError(new TtunError('ERR_TTUN_SYSTEM', 'it broke', { hint: 'mend it' })), 'it broke; mend it');
});

test('digits are grouped by three', (t) => {
  t.deepEqual([0, 999, 1000, 1_234_567, 12_345_678].map(grouped), [
    '0',
    '999',
    '1,000',
    '1,234,567',
    '12,345,678',
  ]);
});
