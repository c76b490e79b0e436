/** That no packet is lost without being counted: what every test of traffic asks at its end. */
import type { ExecutionContext } from 'ava';
import type { TunnelStats } from '../../src/index.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

export interface Accounts {
  readonly a: TunnelStats;
  readonly b: TunnelStats;
}

export interface AccountOptions {
  /** Packets put into the device at `a`, which may not have been read yet. Default 0. */
  readonly sentAtA?: number;
  /** Whether a receive buffer may have been full, as with many TCP streams while the receiver waits for a CPU. Default false. */
  readonly mayOverflow?: boolean;
}

/**
 * Waits until all that one end sent has arrived at the other, closes both, and checks that each packet read was forwarded or
 * is counted under its reason. Nothing may have been lost between the two ends, other than to a full receive buffer if that
 * is allowed, and counted.
 */
export async function closeAndAccount(
  t: ExecutionContext,
  a: RemoteTunnel,
  b: RemoteTunnel,
  { sentAtA = 0, mayOverflow = false }: AccountOptions = {},
): Promise<Accounts> {
  await waitFor('what was sent to arrive', async () => {
    const [atA, atB] = await Promise.all([a.stats(), b.stats()]);
    return settled(atA, sentAtA) && arrived(atA, atB, mayOverflow) && arrived(atB, atA, mayOverflow);
  });
  const accounts = { a: await closeAlone(t, a), b: await closeAlone(t, b) };
  checkLoss(t, accounts.a, accounts.b, mayOverflow, 'from a to b');
  checkLoss(t, accounts.b, accounts.a, mayOverflow, 'from b to a');
  return accounts;
}

function checkLoss(
  t: ExecutionContext,
  sender: TunnelStats,
  receiver: TunnelStats,
  mayOverflow: boolean,
  way: string,
): void {
  const { receiveOverflow } = receiver.socket;
  const lost = datagrams(sender) - receiver.decap.received;
  if (mayOverflow && receiveOverflow > 0) {
    // The kernel counts merged datagrams as one, so at least so many were lost.
    t.true(lost >= receiveOverflow, `${way}: ${lost} lost, of which ${receiveOverflow} counted`);
  } else {
    t.is(lost, 0, way);
    t.is(receiveOverflow, 0, way);
  }
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

function arrived(sender: TunnelStats, receiver: TunnelStats, mayOverflow: boolean): boolean {
  return (
    receiver.decap.received === datagrams(sender) || (mayOverflow && receiver.socket.receiveOverflow > 0)
  );
}

/** How many datagrams an end has sent: a packet each, and copies of some to find out the path MTU. */
export function datagrams({ encap }: TunnelStats): number {
  return encap.packets + encap.trials;
}
