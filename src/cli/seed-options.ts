/** From the five arguments to the options of a tunnel, without the schema, which takes longer to load than all the rest. */
import { InvalidValue } from '../address.ts';
import { parseDeviceName } from '../interface-name.ts';
import type { ResolvedOptions } from '../options.ts';
import { OFFLOAD_DEFAULTS, TUNNEL_DEFAULTS } from '../tunnel-defaults.ts';
import { checkEnds, parseLocal, parseRemote } from '../tunnel-ends.ts';
import type { SeedArguments } from './seed-arguments.ts';
import { UsageError } from './usage-error.ts';

/** @throws UsageError that names all that is wrong */
export function resolveSeedArguments(given: SeedArguments): ResolvedOptions {
  const problems: string[] = [];
  const attempt = <T>(name: string, parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      problems.push(`${name}: ${error.message}; ${error.hint}`);
      return undefined;
    }
  };
  const device = attempt('device', () => parseDeviceName(given.device));
  const local = attempt('local', () => parseLocal(given.local));
  const remote = attempt('remote', () => parseRemote(given.remote));
  if (local !== undefined && remote !== undefined) attempt('remote', () => checkEnds(local, remote));

  if (device === undefined || local === undefined || remote === undefined || problems.length > 0) {
    throw new UsageError(problems.join('; '));
  }
  return {
    device,
    local,
    remote,
    allowedSources: null,
    ...TUNNEL_DEFAULTS,
    bindDevice: null,
    fwmark: null,
    interface: null,
    offload: OFFLOAD_DEFAULTS,
  };
}
