/**
 * What the service manager, such as systemd, is told of this process (sd_notify(3)). Without one that asked to be told, by
 * `$NOTIFY_SOCKET`, nothing happens, and nothing is loaded.
 */
import type { TtunError } from '../errors.ts';
import { loadedBinding, toTtunError } from '../native.ts';
import type { TunnelReport } from './host.ts';

export class ServiceManager {
  readonly #socket: string;
  readonly #onError: (error: TtunError) => void;
  #status = '';
  #isReady = false;
  #hasFailed = false;
  #watchdog: NodeJS.Timeout | undefined;

  /** @param onError told once when the service manager can't be reached */
  constructor(onError: (error: TtunError) => void) {
    this.#socket = process.env['NOTIFY_SOCKET'] ?? '';
    this.#onError = onError;
  }

  /** What was started, or loaded anew, runs. From the first time on, it is also told that the event loop turns. */
  ready(status: string): void {
    this.#isReady = true;
    this.#status = status;
    this.#tell('READY=1', `STATUS=${status}`);
    this.#watchdog ??= this.#startWatchdog();
  }

  /** The line that `systemctl status` shows. Sent when it is another than before, once what was started runs. */
  status(describe: () => string): void {
    if (this.#socket === '' || !this.#isReady) return;
    const status = describe();
    if (status === this.#status) return;
    this.#status = status;
    this.#tell(`STATUS=${status}`);
  }

  /** The configuration is being loaded anew; `ready` ends that. */
  reloading(): void {
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${monotonicUsec()}`);
  }

  /** This process is about to end. */
  stopping(): void {
    clearInterval(this.#watchdog);
    this.#isReady = false;
    this.#tell('STOPPING=1', 'STATUS=closing');
  }

  /**
   * Half of the time after which the service manager takes this process for hung, as sd_watchdog_enabled(3) advises. The
   * event loop sends it, so that a loop that hangs is noticed; packets do not depend on it.
   */
  #startWatchdog(): NodeJS.Timeout | undefined {
    const limitUsec = watchdogUsec();
    if (limitUsec === null) return undefined;
    const tell = (): void => this.#tell('WATCHDOG=1');
    tell();
    return setInterval(tell, Math.min(limitUsec / 2 / 1000, LONGEST_INTERVAL_MS)).unref();
  }

  #tell(...lines: readonly string[]): void {
    if (this.#socket === '') return;
    const error = loadedBinding().notifyServiceManager(this.#socket, lines.map(onOneLine).join('\n'));
    if (error === null || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onError(toTtunError(error));
  }
}

/** The longest that setInterval takes, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/** Node takes it from the same clock, CLOCK_MONOTONIC. */
function monotonicUsec(): bigint {
  return process.hrtime.bigint() / 1000n;
}

/** `null` when nobody watches, or another process is meant. */
function watchdogUsec(): number | null {
  const { WATCHDOG_USEC: usec = '', WATCHDOG_PID: pid } = process.env;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  return /^[1-9]\d*$/.test(usec) ? Number(usec) : null;
}

/** A line break would begin another message. */
function onOneLine(line: string): string {
  return line.replaceAll(/\s*\n\s*/g, ' ');
}

// The state of all tunnels in one line, as `systemctl status` shows it.

/** `2 of 3 tunnels open; office: no device is called tun7` */
export function describeStatus(reports: readonly TunnelReport[]): string {
  const open = reports.filter(({ phase, problem }) => phase === 'open' && problem === null).length;
  const problems = reports.flatMap(({ name, problem }) =>
    problem === null ? [] : [`${name}: ${problem.message}`],
  );
  const told = problems.slice(0, MOST_PROBLEMS).map((problem) => cut(problem));
  const left = problems.length - told.length;
  const others = left === 0 ? [] : [`${left} more ${left === 1 ? 'problem' : 'problems'}`];
  return [`${open} of ${reports.length} tunnels open`, ...told, ...others].join('; ');
}

/** systemd ignores messages of more than 4096 bytes, and with the status would miss what else is in them: that all is ready. */
const MOST_PROBLEMS = 5;
const LONGEST_PROBLEM = 200;

function cut(text: string): string {
  return text.length <= LONGEST_PROBLEM ? text : `${text.slice(0, LONGEST_PROBLEM - 1)}…`;
}
