import test from 'ava';
import { styleFor } from '../../src/terminal.ts';

const TERMINAL = { isTTY: true };

/** Runs `action` with these environment variables. */
function withEnvironment<T>(variables: Record<string, string>, action: () => T): T {
  const before = { ...process.env };
  for (const name of ['NO_COLOR', 'TERM']) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return action();
  } finally {
    process.env = before;
  }
}

test.serial('text for a terminal is coloured', (t) => {
  t.is(
    withEnvironment({ TERM: 'xterm' }, () => styleFor(TERMINAL)('cyan', 'Out')),
    '\u001B[36mOut\u001B[39m',
  );
});

test.serial('text for a file or a pipe is not coloured', (t) => {
  t.is(
    withEnvironment({ TERM: 'xterm' }, () => styleFor({})('cyan', 'Out')),
    'Out',
  );
});

test.serial('NO_COLOR and dumb terminals are respected', (t) => {
  for (const variables of [{ NO_COLOR: '1', TERM: 'xterm' }, { TERM: 'dumb' }]) {
    t.is(
      withEnvironment(variables, () => styleFor(TERMINAL)('cyan', 'Out')),
      'Out',
    );
  }
});

test.serial('an empty NO_COLOR is ignored', (t) => {
  t.not(
    withEnvironment({ NO_COLOR: '', TERM: 'xterm' }, () => styleFor(TERMINAL)('cyan', 'Out')),
    'Out',
  );
});
