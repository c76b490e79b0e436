import { sayError } from './talk.ts';

/**
 * Standard output may go to where nothing can be written. That a reader has seen enough, as `head` has, is no failure; anything
 * else is told once, and makes the exit code 1. Commands that go on for long have listeners of their own besides.
 */
export function guardOutput(): void {
  let isTold = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || isTold) return;
    isTold = true;
    sayError(`standard output cannot be written: ${message}`);
    process.once('exit', () => {
      process.exitCode ||= 1;
    });
  });
}
