/** What holds where nothing is said. Apart from the schema, as the command line needs it without that. */
import type { OffloadOptions } from './options.ts';

export const TUNNEL_DEFAULTS = { clampMss: true, reattach: false } as const;

export const OFFLOAD_DEFAULTS: Readonly<Required<OffloadOptions>> = {
  checksum: true,
  tso: true,
  uso: true,
  segment: true,
  receive: true,
  virtioHeader: true,
};

/** In the tunnels of a file, which are kept up by `ttun up`. */
export const FILE_DEFAULTS = { reattach: true } as const;
