/** Lets `ttun show` and others ask a process for its tunnels. */
import { ControlError } from '../control/error.ts';
import { startControlServer } from '../control/server.ts';
import type { ControlServer, ControlSettings } from '../control/server.ts';
import type { TunnelHost } from '../service/host.ts';
import { say } from './talk.ts';

/** Starts the control server, or says why there is none: the tunnels run just as well without. */
export async function offerControl(
  host: TunnelHost,
  settings: ControlSettings = {},
): Promise<ControlServer | null> {
  try {
    return await startControlServer(host, settings);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    say(`${error.message}; the tunnel runs without, but ttun show does not see it`);
    return null;
  }
}
