/** What becomes of this process when the terminal in which it was started is closed. */
import { isatty } from 'node:tty';

/** Those of standard input, output and error that were terminals at the start. */
const TERMINALS = [0, 1, 2].filter((descriptor) => isatty(descriptor));

/** Whether the terminal is gone. The kernel has hung it up before it sends SIGHUP (__tty_hangup in drivers/tty/tty_io.c). */
export function isTerminalGone(): boolean {
  return TERMINALS.some((descriptor) => !isatty(descriptor));
}

/**
 * Ends this process by SIGHUP where its terminal has gone; to be called when all is tidied up. Node resets the terminal as it ends, and
 * aborts with a core dump where there is none any more: ending by the signal, as programs without a handler do, is the clean way.
 */
export function endByHangUp(): void {
  if (TERMINALS.length === 0) return;
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}
