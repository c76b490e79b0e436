import test from 'ava';
import { countCalls } from '../../bench/figures/system-calls.ts';

/** As strace 6.1 prints it; other versions leave out the microseconds of the total. */
const SUMMARY = `
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.10    0.012345          25       491           epoll_wait
 20.01    0.004000           4       998       481 readv
 17.89    0.003000           6       488           sendmsg
  0.00    0.000000           0         2           epoll_pwait
  0.00    0.000000           0        14           restart_syscall
------ ----------- ----------- --------- --------- ----------------
100.00    0.019345           9      1993       481 total
`;

test('the system calls of a trace are counted, besides those that wait', (t) => {
  t.is(countCalls(SUMMARY), 998 + 488);
  t.is(countCalls(SUMMARY.replace('      9      1993', '            1993')), 998 + 488);
});

test('a trace without calls is an error, not a tunnel without calls', (t) => {
  t.throws(() => countCalls('strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted'), {
    message: /strace printed no table: .*not permitted/,
  });
});
