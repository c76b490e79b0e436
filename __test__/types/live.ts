/** Never run: compiling it shows that events, exact figures, samples and rates have the types they should. */
import { createTunnel, diffStats } from '../../src/index.ts';
import type {
  EncapStats,
  Tunnel,
  TunnelEnd,
  TunnelEvents,
  TunnelOptions,
  TunnelRates,
  TunnelSample,
  TunnelState,
  TunnelStats,
  TtunError,
} from '../../src/index.ts';
import { once } from 'node:events';
import type { EventEmitter } from 'node:events';

const options: TunnelOptions = { device: 'tun0', local: ':8000', remote: 'gateway.example:8000' };

export async function waitForName(): Promise<Tunnel> {
  // @ts-expect-error A reason is an error, not a text.
  await createTunnel(options, { onWaiting: (reason: string) => reason });
  return createTunnel(options, { onWaiting: ({ code, message, hint }: TtunError) => [code, message, hint] });
}

export function listen(tunnel: Tunnel): void {
  tunnel
    .on('state', (state: TunnelState, previous: TunnelState) => [state, previous])
    .once('peer', (remote: string, previous: string) => [remote, previous])
    .on('error', ({ code, hint }: TtunError) => [code, hint])
    .prependListener('close', (end: TunnelEnd) => end.reason);
  // @ts-expect-error There is no event for packets.
  tunnel.on('packet', () => {});
  // @ts-expect-error A state is not a number.
  tunnel.on('state', (state: number) => state);
  // @ts-expect-error Both addresses are texts.
  tunnel.off('peer', (remote: string, previous: { address: string }) => [remote, previous]);
}

export async function waitForEvents(tunnel: Tunnel): Promise<void> {
  const emitter: EventEmitter<TunnelEvents> = tunnel;
  await once(tunnel, 'close');
  void emitter;
}

export function read(tunnel: Tunnel, bigint: boolean): void {
  const stats: TunnelStats = tunnel.stats();
  const exact: TunnelStats<bigint> = tunnel.stats({ bigint: true });
  const bytes: bigint = exact.encap.bytes + exact.decap.drops['device-down'];
  const errors: bigint | undefined = exact.socket.errors['ECONNREFUSED'];
  const mtu: number = exact.device.mtu;
  const either: TunnelStats | TunnelStats<bigint> = tunnel.stats({ bigint });
  const encap: EncapStats<bigint> = exact.encap;
  // @ts-expect-error Exact counts do not mix with numbers.
  const mixed = exact.encap.bytes + stats.encap.bytes;
  // @ts-expect-error Which kind it is is not known.
  const unknown: TunnelStats = tunnel.stats({ bigint });
  // @ts-expect-error The state of a tunnel is not set from outside.
  tunnel.state = 'up';
  void [bytes, errors, mtu, either, encap, mixed, unknown];
}

export function compare(before: TunnelStats, after: TunnelStats<bigint>): number {
  const rates: TunnelRates = diffStats(before, after);
  // @ts-expect-error When the last datagram came has no rate.
  const { lastAt } = rates.decap;
  // @ts-expect-error Rates are read only.
  rates.encap.bytes = 0;
  void lastAt;
  return rates.encap.bytes + rates.decap.drops['source-not-allowed'];
}

export async function sample(tunnel: Tunnel): Promise<void> {
  for await (const taken of tunnel.samples({ intervalMs: 100, signal: AbortSignal.timeout(1000) })) {
    const { at, stats, rate }: TunnelSample = taken;
    const values: readonly [number, TunnelStats, TunnelRates] = [at, stats, rate];
    void values;
  }
  // @ts-expect-error The name of the option is `intervalMs`.
  tunnel.samples({ interval: 100 });
}
