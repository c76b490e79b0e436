import { Writable } from 'node:stream';
import { WriteStream } from 'node:tty';
import test from 'ava';
import { Screen } from '../../src/cli/commands/show/watch/screen.ts';

test('a terminal that tells no size, as serial consoles do, is taken for one of 80 columns and 24 rows', (t) => {
  const drawn: string[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      drawn.push(chunk.toString());
      done();
    },
  });
  // All of a terminal that a screen looks at.
  const terminal: WriteStream = Object.assign(Object.create(WriteStream.prototype), {
    columns: 0,
    rows: 0,
    write: output.write.bind(output),
  });
  const screen = new Screen(terminal);
  t.deepEqual([screen.columns, screen.rows], [80, 24]);
  screen.open();
  screen.draw([[{ text: 'x'.repeat(100) }]]);
  screen.close();
  t.regex(drawn[1] ?? '', /Hx{80}\S*$/);
});
