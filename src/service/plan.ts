/** What a configuration asks for; it has been checked. */
import type { TunnelOptions } from '../options.ts';

export interface Plan {
  /** Where HTTP is served, as `127.0.0.1:9750`; `null`: nowhere. */
  readonly listen: string | null;
  /** By name, in the order of the configuration. */
  readonly tunnels: ReadonlyMap<string, TunnelOptions>;
}
