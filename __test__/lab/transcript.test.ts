import { WriteStream } from 'node:tty';
import test from 'ava';
import { Transcript } from '../../src/lab/transcript.ts';

/** What a transcript prints on a stream that is or is not a terminal. */
function printed({ isTTY }: { isTTY: boolean }): string {
  let text = '';
  const stream: WriteStream = Object.create(WriteStream.prototype, {
    isTTY: { value: isTTY },
    write: { value: (chunk: string) => (text += chunk) },
  });
  const transcript = new Transcript(stream);
  transcript.step('Two sites', 'Why.');
  transcript.command('ip netns add siteA', 'like this');
  transcript.expect(true, 'done', 'not done');
  return text;
}

const plain = `
 1. Two sites
    Why.
    # like this
    $ ip netns add siteA
    ✓ done
`;

test.serial('a transcript is coloured on a terminal only', (t) => {
  process.env['TERM'] = 'xterm';
  t.is(printed({ isTTY: false }), plain);
  const coloured = printed({ isTTY: true });
  t.true(coloured.includes('\u001B[32m✓\u001B[39m done'));
});

test.serial('NO_COLOR turns colour off on a terminal too', (t) => {
  process.env['NO_COLOR'] = '1';
  t.teardown(() => delete process.env['NO_COLOR']);
  t.is(printed({ isTTY: true }), plain);
});
