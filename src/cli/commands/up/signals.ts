/** The signals of a process that runs many tunnels: SIGINT and SIGTERM end it, SIGHUP has it load its configuration anew. */
import { isTerminalGone } from '../../hang-up.ts';
import { abortOnSignals } from '../../signals.ts';

/**
 * The kernel sends SIGHUP also when the terminal is closed. That is meant as an end, and is told apart by the terminal, which
 * is gone by then. Where there was none at the start (a service, or a program run by nohup), SIGHUP always means to reload.
 *
 * @returns a signal that is aborted by what ends the process, with the name of that as the reason
 */
export function endOrReload(reload: () => void): AbortSignal {
  const hangUp = new AbortController();
  process.on('SIGHUP', () => {
    if (isTerminalGone()) hangUp.abort('SIGHUP');
    else reload();
  });
  return AbortSignal.any([abortOnSignals(['SIGINT', 'SIGTERM']), hangUp.signal]);
}
