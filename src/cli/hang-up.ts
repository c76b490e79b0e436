/**
 * Ends this process by SIGHUP where its terminal has gone; to be called when all is tidied up. Node resets the terminal as it ends, and
 * aborts with a core dump where there is none any more: ending by the signal, as programs without a handler do, is the clean way.
 */
export function endByHangUp(): void {
  if (!process.stdout.isTTY && !process.stderr.isTTY) return;
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}
