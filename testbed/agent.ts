/** Runs in a namespace: one tunnel, opened, queried and closed by the process that started this one (see tunnel.ts). */
import { parseEndpoint } from '../src/address.ts';
import type { TtunError } from '../src/errors.ts';
import { createTunnel } from '../src/index.ts';
import type { Tunnel, TunnelChange, TunnelEnd, TunnelOptions, TunnelStats } from '../src/index.ts';
import { OpenTunnel } from '../src/open-tunnel.ts';
import { failureOf, serve } from './messages.ts';
import type { Failure } from './messages.ts';

/** How the tunnel ended, in a form that can be sent between processes. */
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
  async setRemote(remote: string): Promise<void> {
    await inside().setRemote(parseEndpoint(remote));
  },
  setRate(rate: string | number | null): void {
    tunnel().setRate(rate);
  },
  history(): TunnelChange[] {
    return tunnel().history();
  },
  /** The code of the open tunnel's problem. */
  problem(): TtunError['code'] | null {
    return inside().problem()?.code ?? null;
  },
  hint(): string | null {
    return inside().problem()?.hint ?? null;
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

/** With its internal methods. */
function inside(): OpenTunnel {
  const held = tunnel();
  if (held instanceof OpenTunnel) return held;
  throw new TypeError('createTunnel returned another kind of tunnel');
}

serve(handlers);
