/** Lets `ttun show` and others ask a process for its tunnels. */
import { startControlServer } from '../control/server.ts';
import type { ControlServer, ControlSettings } from '../control/server.ts';
import type { TunnelHost } from '../tunnel-host.ts';
import { say } from './terminal.ts';

/** Starts the control server, or says why there is none, whatever that is: the tunnels run just as well without. */
export async function offerControl(
  host: TunnelHost,
  settings: ControlSettings = {},
): Promise<ControlServer | null> {
  try {
    return await startControlServer(host, settings);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    say(`${message}; the tunnel runs without, but ttun show does not see it`);
    return null;
  }
}
