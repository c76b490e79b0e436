/** Many tunnels from one file, until a signal ends them. */
import { once } from 'node:events';
import { TtunError } from '../../../errors.ts';
import { KeepAlive } from '../../../keep-alive.ts';
import { loadBinding } from '../../../native.ts';
import type { Plan } from '../../../service/plan.ts';
import { Service } from '../../../service/service.ts';
import type { ServiceEvent } from '../../../service/service.ts';
import { offerControl } from '../../control.ts';
import { abandonThreadsAtExit, endSoon } from '../../end.ts';
import { endByHangUp } from '../../hang-up.ts';
import { parseArguments } from '../../parse.ts';
import { sayError } from '../../talk.ts';
import { UsageError } from '../../usage-error.ts';
import { describeError } from '../../wording.ts';
import { printEvent } from './events.ts';
import { PlanFile } from './plan-file.ts';
import { endOrReload } from './signals.ts';
import { SPEC } from './spec.ts';
import { tell } from './story.ts';

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
