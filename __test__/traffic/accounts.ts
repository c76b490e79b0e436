/** That no packet is lost without being counted: what every test of traffic asks at its end. */
import type { ExecutionContext } from 'ava';
import type { TunnelStats } from '../../src/index.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

export interface Accounts {
  readonly a: TunnelStats;
  readonly b: TunnelStats;
}

/**
 * Waits until all that one end sent has arrived at the other, closes both, and checks that each packet read was forwarded or
 * is counted under its reason. Nothing may have been lost between the two ends. `sentAtA` packets were put into the device at
 * `a`, which may not have been read yet.
 */
export async function closeAndAccount(
  t: ExecutionContext,
  a: RemoteTunnel,
  b: RemoteTunnel,
  { sentAtA = 0 }: { readonly sentAtA?: number } = {},
): Promise<Accounts> {
  await waitFor('what was sent to arrive', async () => {
    const [atA, atB] = await Promise.all([a.stats(), b.stats()]);
    return settled(atA, sentAtA) && arrived(atA, atB) && arrived(atB, atA);
  });
  const accounts = { a: await closeAlone(t, a), b: await closeAlone(t, b) };
  t.is(accounts.b.decap.received, datagrams(accounts.a), 'from a to b');
  t.is(accounts.a.decap.received, datagrams(accounts.b), 'from b to a');
  t.is(accounts.a.socket.receiveOverflow, 0);
  t.is(accounts.b.socket.receiveOverflow, 0);
  return accounts;
}

/** Closes one end and checks its own account. */
export async function closeAlone(t: ExecutionContext, tunnel: RemoteTunnel): Promise<TunnelStats> {
  await tunnel.close();
  const stats = await tunnel.stats();
  for (const [direction, { received, packets, dropped, drops }] of [
    ['encap', stats.encap],
    ['decap', stats.decap],
  ] as const) {
    const reasons = Object.values(drops).reduce((sum, count) => sum + count, 0);
    t.is(dropped, reasons, `${direction}: the sum of the reasons`);
    t.is(received, packets + dropped, `${direction}: forwarded or dropped`);
  }
  return stats;
}

/** Checks that neither end dropped a packet. */
export function nothingDropped(t: ExecutionContext, { a, b }: Accounts): void {
  for (const [end, stats] of Object.entries({ a, b })) {
    t.is(stats.encap.dropped, 0, `${end} encap: ${JSON.stringify(stats.encap.drops)}`);
    t.is(stats.decap.dropped, 0, `${end} decap: ${JSON.stringify(stats.decap.drops)}`);
  }
}

function settled({ encap: { received, packets, dropped } }: TunnelStats, sent: number): boolean {
  return received >= sent && received === packets + dropped;
}

function arrived(sender: TunnelStats, receiver: TunnelStats): boolean {
  return receiver.decap.received === datagrams(sender);
}

/** How many datagrams an end has sent: a packet each, and copies of some to find out the path MTU. */
export function datagrams({ encap }: TunnelStats): number {
  return encap.packets + encap.trials;
}
