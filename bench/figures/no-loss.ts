/** The highest rate at which a tunnel loses practically nothing: the throughput of RFC 2544, section 26.1, in a few short trials. */
import type { UdpRun } from './iperf.ts';

export type Trial = Pick<UdpRun, 'deliveredPerSecond' | 'loss'>;

/** RFC 2544 asks for none. On cores that the generators share, a single pause of the scheduler would decide then. */
const TOLERATED_LOSS = 0.005;
/** Rates from here to that at full speed are searched, if even the rate delivered at full speed is too high. */
const LOWEST_SHARE = 1 / 8;

/**
 * Datagrams a second that arrived in the best trial with tolerable loss; `null` if there was none.
 *
 * `atFullSpeed` is what arrives when the sender goes as fast as it can. A tunnel often delivers more than that when it is offered
 * less, so the first trial is that rate; the others halve, on a logarithmic scale, the range in which the answer must lie.
 * `trials` bounds the time.
 */
export async function highestRateWithoutLoss(
  atFullSpeed: Trial,
  trials: number,
  attempt: (datagramsPerSecond: number) => Promise<Trial>,
): Promise<number | null> {
  const { deliveredPerSecond, loss } = atFullSpeed;
  if (isTolerable(atFullSpeed)) return deliveredPerSecond;
  if (deliveredPerSecond === 0) return null;
  let [least, most] = [deliveredPerSecond * LOWEST_SHARE, deliveredPerSecond / (1 - loss)];
  let rate = deliveredPerSecond;
  let best: number | null = null;
  for (let trial = 0; trial < trials; trial += 1) {
    const result = await attempt(rate);
    if (isTolerable(result)) {
      // The sender may not have reached the rate.
      best = Math.max(best ?? 0, result.deliveredPerSecond);
      least = rate;
    } else {
      most = rate;
    }
    rate = Math.sqrt(least * most);
  }
  return best;
}

function isTolerable({ loss }: Trial): boolean {
  return loss < TOLERATED_LOSS;
}
