import { Writable } from 'node:stream';
import { WriteStream } from 'node:tty';
import test from 'ava';
import { Screen } from '../../src/cli/screen.ts';

/** What is drawn of a line on a terminal of that size, in that locale. */
function drawn(
  text: string,
  { columns, rows, locale }: { columns: number; rows: number; locale: string },
): string {
  const written: string[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  // The part of a terminal that a screen uses.
  const terminal: WriteStream = Object.assign(Object.create(WriteStream.prototype), {
    columns,
    rows,
    write: output.write.bind(output),
  });
  process.env['LC_ALL'] = locale;
  const screen = new Screen(terminal);
  screen.open();
  screen.draw([[{ text }]]);
  screen.close();
  return written[1] ?? '';
}

test('a terminal of unknown size, such as a serial console, counts as one of 80 columns', (t) => {
  t.regex(drawn('x'.repeat(100), { columns: 0, rows: 0, locale: 'C.UTF-8' }), /Hx{80}\S*$/);
});

test('if the locale is not UTF-8, everything is drawn in ASCII', (t) => {
  const text = '▁▂▃▄▅▆▇█ 1–2 of 9…↑↓ ü';
  t.true(drawn(text, { columns: 40, rows: 1, locale: 'C.UTF-8' }).includes(text));
  t.true(drawn(text, { columns: 40, rows: 1, locale: 'C' }).includes('_.:-=+*# 1-2 of 9~^v ?'));
});
