/** `ttun up`: runs the tunnels of a configuration file until a signal ends it. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { findConfigFile, loadResolved } from '../config/load.ts';
import { formatProblem } from '../config/parse.ts';
import { loadBinding } from '../native.ts';
import { Service } from '../service/service.ts';
import type { Plan, ServiceEvent } from '../service/service.ts';
import {
  abandonThreadsAtExit,
  abortOnSignals,
  continueWithoutOutput,
  endByHangUp,
  endSoon,
  isTerminalGone,
  say,
} from '../terminal.ts';
import { didYouMean } from '../text.ts';
import { KeepAlive } from '../tunnel-emitter.ts';
import { parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';
import { printJson, printMessage } from './events.ts';
import { startControl, usageErrorFrom } from './run-tunnel.ts';

export const SPEC = {
  name: 'up',
  usage: ['[-c <file>] [--http <listen>] [--json] [name…]'],
  description: [
    'Runs all tunnels of a configuration file, or only those named, until Ctrl-C or SIGTERM ends it with a summary of each tunnel.',
    'A tunnel that cannot be opened, or that fails later, is retried: first after a second, then at growing intervals of up to 30 seconds. This does not affect the other tunnels.',
    'SIGHUP or ttun reload reloads the file. Tunnels whose configuration is the same, or differs only in the rate, continue without losing a packet; a file with mistakes changes nothing. If its terminal is closed, ttun up ends.',
    'It supports the notifications and the watchdog of systemd.',
  ],
  operands: [{ label: '[name…]', description: 'run only these tunnels of the file' }],
  options: {
    config: {
      short: 'c',
      value: '<file>',
      description: 'the configuration file, in TOML, or in JSON if its name ends in .json',
      completes: 'file',
    },
    http: {
      value: '<listen>',
      description:
        'serve Prometheus metrics and a live page here, overriding the file: <port> on 127.0.0.1, <address>:<port>, or :<port> on all addresses',
    },
    json: {
      description:
        'print each event as a line of JSON: {"event":"attached","at":"…","tunnel":"office","stats":{…}}; at is the time, in ISO 8601; the other events are waiting, failed, impaired, change, peer, closed, serving, http-failed, reloaded and reload-failed',
    },
  },
  examples: [
    { does: 'Run all tunnels of ttun.toml', command: 'ttun up' },
    { does: 'Run one of them', command: 'ttun up -c /etc/ttun/sites.toml office' },
    { does: 'Run /etc/ttun/sites.toml as a service', command: 'systemctl enable --now ttun@sites' },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C (SIGINT) or SIGTERM; closing its terminal ends it with SIGHUP',
    1: 'the configuration is invalid, or its HTTP port is in use; no tunnel was opened',
    70: 'an internal error; restart ttun up, as systemd does',
  },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands: names } = parseArguments(SPEC, args);
  const { config, http, json = false } = values;
  // Names that are no longer in the file after a reload are tunnels that were removed.
  const asRequested = ({ listen, tunnels }: Plan): Plan => ({
    listen: http ?? listen,
    tunnels: new Map([...tunnels].filter(([name]) => names.length === 0 || names.includes(name))),
  });
  try {
    // Without the native part, retrying is pointless.
    loadBinding();
    const path = resolve(findConfigFile(config));
    const plan = await load(path);
    for (const name of names) if (!plan.tunnels.has(name)) throw unknownTunnel(name, plan);
    const listener = json ? printBoth() : printMessage;
    const service = new Service({ load: async () => asRequested(await load(path)), listener });
    await runService(service, asRequested(plan), path);
    return 0;
  } catch (error) {
    throw usageErrorFrom(error);
  }
}

async function runService(service: Service, plan: Plan, config: string): Promise<void> {
  process.once('uncaughtExceptionMonitor', () => {
    // Not earlier, as Node sets it to 1.
    process.once('exit', () => {
      process.exitCode = BUG_EXIT_CODE;
    });
  });
  // The listener reports the result.
  const ending = endOrReload(() => void service.reload().catch(() => {}));
  const ended = once(ending, 'abort');
  // Keeps the process alive while all tunnels wait to be retried.
  const keepAlive = new KeepAlive();
  try {
    // First, while there are file descriptors left for it.
    const startingControl = startControl(service, { config });
    await Promise.race([startingControl, ended]);
    if (!ending.aborted) await Promise.race([service.start(plan), ended]);
    await ended;
    await abandonThreadsAtExit();
    endSoon();
    await Promise.all([startingControl.then((control) => control?.close()), service.close()]);
  } finally {
    keepAlive.end();
  }
  if (ending.reason === 'SIGHUP') endByHangUp();
}

/** EX_SOFTWARE of sysexits.h: unlike an invalid configuration, a bug may not recur, so a restart is worthwhile. */
const BUG_EXIT_CODE = 70;

function printBoth(): (event: ServiceEvent) => void {
  continueWithoutOutput();
  return (event) => {
    printMessage(event);
    printJson(event);
  };
}

/** Reports warnings on each load, as they are about the current content. */
async function load(path: string): Promise<Plan> {
  const { resolved, warnings } = await loadResolved(path);
  for (const warning of warnings) say(formatProblem(warning, 'warning'));
  return { listen: resolved.http?.listen ?? null, tunnels: resolved.tunnels };
}

function unknownTunnel(name: string, { tunnels }: Plan): UsageError {
  const names = [...tunnels.keys()];
  return new UsageError(`the file has no tunnel ${name}, only ${names.join(', ')}${didYouMean(name, names)}`);
}

/**
 * Handles the signals: SIGINT and SIGTERM end the process, SIGHUP makes it reload. The kernel also sends SIGHUP when the terminal is
 * closed, which ends the process; the terminal is gone by then. Without a terminal at the start (a service, or nohup), SIGHUP always
 * means to reload.
 *
 * @returns a signal that aborts when the process is to end, with the name of the system's signal as the reason
 */
function endOrReload(reload: () => void): AbortSignal {
  const hangUp = new AbortController();
  process.on('SIGHUP', () => {
    if (isTerminalGone()) hangUp.abort('SIGHUP');
    else reload();
  });
  return AbortSignal.any([abortOnSignals(['SIGINT', 'SIGTERM']), hangUp.signal]);
}
