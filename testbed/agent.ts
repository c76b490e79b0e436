/** Runs in a namespace: one tunnel, opened, asked and closed by the process that started this one (see tunnel.ts). */
import { createTunnel } from '../src/index.ts';
import type { Tunnel, TunnelEnd, TunnelOptions, TunnelStats } from '../src/index.ts';
import { failureOf, serve } from './messages.ts';
import type { Failure } from './messages.ts';

/** How the tunnel ended, in a form that survives the way between processes. */
export interface RemoteEnd {
  readonly reason: TunnelEnd['reason'];
  readonly error: Failure | null;
}

let opened: Tunnel | null = null;

const handlers = {
  async open(options: TunnelOptions): Promise<void> {
    opened = await createTunnel(options);
  },
  stats(): TunnelStats {
    return tunnel().stats();
  },
  async close(): Promise<void> {
    await tunnel().close();
  },
  async closed(): Promise<RemoteEnd> {
    const end = await tunnel().closed;
    return { reason: end.reason, error: end.reason === 'failed' ? failureOf(end.error) : null };
  },
};

export type TunnelAgent = typeof handlers;

function tunnel(): Tunnel {
  if (opened === null) throw new Error('no tunnel was opened');
  return opened;
}

serve(handlers);
