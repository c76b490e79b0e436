/** Many tunnels from one file, until a signal ends them. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { findConfigFile, loadConfig } from '../../config/load.ts';
import { formatProblem } from '../../config/parse.ts';
import { TtunError } from '../../errors.ts';
import { loadBinding } from '../../native.ts';
import { KeepAlive } from '../../tunnel-emitter.ts';
import { Service } from '../../service/service.ts';
import type { Plan, ServiceEvent } from '../../service/service.ts';
import { suggest } from '../../text.ts';
import { parseArguments, UsageError } from '../args.ts';
import { offerControl } from '../control.ts';
import { abortOnSignals } from '../run-tunnel.ts';
import { abandonThreadsAtExit, endByHangUp, endSoon, isTerminalGone, say, sayError } from '../terminal.ts';
import { describeError } from '../text.ts';
import { printEvent, tell } from './up-events.ts';
import { SPEC } from './up/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands } = parseArguments(SPEC, args);
  const { json = false, ...choice } = values;
  const listener = json ? tellAndPrint() : tell;
  try {
    // Where there can be no tunnels at all, trying again is no use.
    await loadBinding();
    const file = new PlanFile({ ...choice, names: operands });
    const plan = await file.loadFirst();
    const service = new Service({ load: () => file.load(), listener });
    await runService(service, plan, file.path);
    return 0;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    // The file has been checked by then, so it is an argument.
    if (error.code === 'ERR_TTUN_INVALID_OPTIONS') throw new UsageError(describeError(error));
    sayError(describeError(error));
    return 1;
  }
}

async function runService(service: Service, plan: Plan, config: string): Promise<void> {
  process.once('uncaughtExceptionMonitor', () => {
    // As late as that: Node sets it to 1 before.
    process.once('exit', () => {
      process.exitCode = BUG_EXIT_CODE;
    });
  });
  // Nobody waits for the answer to a signal: the listener tells what came of it.
  const ending = endOrReload(() => void service.reload().catch(() => {}));
  const ended = once(ending, 'abort');
  // Tunnels that wait to be tried again are to be waited for, even when none is open.
  const keepAlive = new KeepAlive();
  try {
    const started = service.start(plan);
    const offering = offerControl(service, { config });
    await Promise.race([started, ended]);
    await ended;
    await abandonThreadsAtExit();
    endSoon();
    await Promise.all([offering.then((control) => control?.close()), service.close()]);
  } finally {
    keepAlive.end();
  }
  if (ending.reason === 'SIGHUP') endByHangUp();
}

/** EX_SOFTWARE of sysexits.h: unlike a configuration that cannot be used, a bug may not show again, so starting again is worth it. */
const BUG_EXIT_CODE = 70;

function tellAndPrint(): (event: ServiceEvent) => void {
  // Nobody may be there to read any more, which is no reason to end.
  process.stdout.on('error', () => {});
  return (event) => {
    tell(event);
    printEvent(event);
  };
}

// The configuration file of `ttun up`, of which a part may be asked for.

/** What the command line says of the file. */
export interface Choice {
  /** Path of the file; absent: the one in the working directory. */
  readonly config?: string;
  /** Where HTTP is served, in place of what the file says. */
  readonly http?: string;
  /** The tunnels that are asked for; all when empty. */
  readonly names: readonly string[];
}

export class PlanFile {
  readonly path: string;
  readonly #choice: Choice;

  /** @throws TtunError when it is not clear which file is meant */
  constructor(choice: Choice) {
    this.path = resolve(findConfigFile(choice.config));
    this.#choice = choice;
  }

  /** @throws UsageError when a tunnel was asked for that is not in the file */
  async loadFirst(): Promise<Plan> {
    const plan = await load(this.path);
    for (const name of this.#choice.names) if (!plan.tunnels.has(name)) throw unknownTunnel(name, plan);
    return this.#part(plan);
  }

  /** As it is now. A tunnel that was asked for and is no longer in the file has been removed. */
  async load(): Promise<Plan> {
    return this.#part(await load(this.path));
  }

  #part(plan: Plan): Plan {
    const { http, names } = this.#choice;
    const chosen = [...plan.tunnels].filter(([name]) => names.length === 0 || names.includes(name));
    return { listen: http ?? plan.listen, tunnels: new Map(chosen) };
  }
}

/** Warnings are said each time: they are about the file as it is now. */
async function load(path: string): Promise<Plan> {
  const { http, tunnels, warnings } = await loadConfig(path);
  for (const warning of warnings) say(formatProblem(warning, 'warning'));
  return { listen: http?.listen ?? null, tunnels };
}

function unknownTunnel(name: string, { tunnels }: Plan): UsageError {
  const names = [...tunnels.keys()];
  const meant = suggest(name, names);
  const question = meant === null ? '' : `; did you mean ${meant}?`;
  return new UsageError(`there is no tunnel ${name} in the file, which has ${names.join(', ')}${question}`);
}

// The signals of a process that runs many tunnels: SIGINT and SIGTERM end it, SIGHUP has it load its configuration anew.

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
