import { WriteStream } from 'node:tty';
import test from 'ava';
import { Story } from '../../src/lab/story.ts';

/** What a story prints on a stream that is a terminal or isn't. */
function printed({ isTTY }: { isTTY: boolean }): string {
  let text = '';
  const stream: WriteStream = Object.create(WriteStream.prototype, {
    isTTY: { value: isTTY },
    write: { value: (chunk: string) => (text += chunk) },
  });
  const story = new Story(stream);
  story.step('Two sites', 'Why.');
  story.command('ip netns add siteA', 'like this');
  story.succeeded('done');
  return text;
}

const plain = `
 1. Two sites
    Why.
    # like this
    $ ip netns add siteA
    ✓ done
`;

test.serial('a story is coloured on a terminal, and only there', (t) => {
  process.env['TERM'] = 'xterm';
  t.is(printed({ isTTY: false }), plain);
  const coloured = printed({ isTTY: true });
  t.true(coloured.includes('\u001B[32m✓\u001B[39m done'));
});

test.serial('NO_COLOR keeps colour off the terminal too', (t) => {
  process.env['NO_COLOR'] = '1';
  t.teardown(() => delete process.env['NO_COLOR']);
  t.is(printed({ isTTY: true }), plain);
});
