/**
 * Notifications to the service manager, such as systemd (sd_notify(3)). Without `$NOTIFY_SOCKET` nothing is sent, and nothing
 * is loaded.
 */
import type { TtunError } from '../errors.ts';
import { loadBinding, toTtunError } from '../native.ts';
import type { Problem, TunnelReport } from '../tunnel-host.ts';

export class ServiceManager {
  readonly #socket: string;
  readonly #onError: (error: TtunError) => void;
  #status = '';
  #isReady = false;
  #hasFailed = false;
  #watchdog: NodeJS.Timeout | undefined;

  /** @param onError called once if the service manager cannot be reached */
  constructor(onError: (error: TtunError) => void) {
    this.#socket = process.env['NOTIFY_SOCKET'] ?? '';
    this.#onError = onError;
  }

  /** The start or the reload is done. The first call also starts the watchdog notifications. */
  ready(status: string): void {
    this.#isReady = true;
    this.#status = status;
    this.#send('READY=1', `STATUS=${status}`);
    this.#watchdog ??= this.#startWatchdog();
  }

  /** The line that `systemctl status` shows. Sent if it changed, and only once ready. */
  status(describe: () => string): void {
    if (this.#socket === '' || !this.#isReady) return;
    const status = describe();
    if (status === this.#status) return;
    this.#status = status;
    this.#send(`STATUS=${status}`);
  }

  /** A reload begins; `ready` ends it. */
  reloading(): void {
    this.#send('RELOADING=1', `MONOTONIC_USEC=${monotonicUsec()}`);
  }

  stopping(): void {
    clearInterval(this.#watchdog);
    this.#isReady = false;
    this.#send('STOPPING=1', 'STATUS=closing');
  }

  /**
   * Notifies twice per watchdog period, as sd_watchdog_enabled(3) advises. The event loop sends it, so that a hung loop is
   * noticed; packets do not depend on it.
   */
  #startWatchdog(): NodeJS.Timeout | undefined {
    const limitUsec = watchdogUsec();
    if (limitUsec === null) return undefined;
    const send = (): void => this.#send('WATCHDOG=1');
    send();
    return setInterval(send, Math.min(limitUsec / 2 / 1000, LONGEST_INTERVAL_MS)).unref();
  }

  #send(...lines: readonly string[]): void {
    if (this.#socket === '') return;
    // A line break would begin another assignment.
    const message = lines.map((line) => line.replaceAll(/\s*\n\s*/g, ' ')).join('\n');
    const error = loadBinding().notifyServiceManager(this.#socket, message);
    if (error === null || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onError(toTtunError(error));
  }
}

/** The longest that setInterval takes, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/** Node reads CLOCK_MONOTONIC, as systemd does. */
function monotonicUsec(): bigint {
  return process.hrtime.bigint() / 1000n;
}

/** The watchdog period of this process; `null` if it has none. */
function watchdogUsec(): number | null {
  const { WATCHDOG_USEC: usec = '', WATCHDOG_PID: pid } = process.env;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  return /^[1-9]\d*$/.test(usec) ? Number(usec) : null;
}

/** The state of the service in one line: `2 of 3 tunnels open; office: there is no device tun7` */
export function describeStatus(reports: readonly TunnelReport[], httpProblem: Problem | null): string {
  const open = reports.filter(({ phase, problem }) => phase === 'open' && problem === null).length;
  const problems = reports.flatMap(({ name, problem, diagnosis }) => {
    const what = problem?.message ?? diagnosis;
    return what === null ? [] : [`${name}: ${what}`];
  });
  if (httpProblem !== null) problems.unshift(httpProblem.message);
  const shown = problems.slice(0, MOST_PROBLEMS).map((problem) => cut(problem));
  const left = problems.length - shown.length;
  const more = left === 0 ? [] : [`${left} more ${left === 1 ? 'problem' : 'problems'}`];
  return [`${open} of ${reports.length} tunnels open`, ...shown, ...more].join('; ');
}

/** systemd ignores messages of more than 4096 bytes, together with the READY=1 in them. */
const MOST_PROBLEMS = 5;
const LONGEST_PROBLEM = 200;

function cut(text: string): string {
  return text.length <= LONGEST_PROBLEM ? text : `${text.slice(0, LONGEST_PROBLEM - 1)}…`;
}
