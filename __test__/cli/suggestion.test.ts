import test from 'ava';
import { suggest } from '../../src/text.ts';

const COMMANDS = ['up', 'show', 'capture', 'doctor', 'check', 'reload', 'lab'];

for (const [typed, meant] of [
  ['shwo', 'show'],
  ['sho', 'show'],
  ['cap', 'capture'],
  ['Capture', 'capture'],
  ['captrue', 'capture'],
  ['chekc', 'check'],
  ['relaod', 'reload'],
  ['pu', 'up'],
  ['docter', 'doctor'],
] as const) {
  test(`${meant} is suggested for ${typed}`, (t) => t.is(suggest(typed, COMMANDS), meant));
}

for (const typed of ['status', 'tun0', 'x', '', 'stop', 'list']) {
  test(`no command is suggested for '${typed}'`, (t) => t.is(suggest(typed, COMMANDS), null));
}

test('the most similar word is suggested', (t) => {
  t.is(suggest('allowedSource', ['allowedSourcePorts', 'allowedSources']), 'allowedSourcePorts');
  t.is(suggest('remot', ['mode', 'remote', 'remove']), 'remote');
});
