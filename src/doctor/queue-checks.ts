/** Checks of where packets wait for the link, and for how long. */
import { formatBitRate, formatBytes, formatMilliseconds } from '../text.ts';
import type { ResolvedOptions } from '../schema.ts';
import type { TunnelStats } from '../stats.ts';
import type { SubjectFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';

export function checkQueue(facts: SubjectFacts): Finding[] {
  const { running, options } = facts.subject;
  if (running?.phase !== 'open' || running.stats === null) return [];
  const { stats } = running;
  return [
    ...checkWaiting(facts, stats),
    ...checkRate(facts, stats),
    ...(options === null ? [] : checkBuffer(options, stats)),
    ...checkQueueElsewhere(stats),
  ];
}

/** Packets that wait, or have waited, for the link of this host or for the configured rate. */
function checkWaiting(facts: SubjectFacts, { queue }: TunnelStats): Finding[] {
  const { packets, delayed, delaySum, sojournMaxMs } = queue;
  if (packets + delayed === 0) return [];
  const mean = formatMilliseconds(delayed === 0 ? 0 : delaySum / 1000 / delayed);
  const longest = formatMilliseconds(sojournMaxMs ?? 0);
  const waited = `${mean} on average, ${longest} at most`;
  if (packets === 0)
    return [ok(`packets that had to wait for ${bottleneckOf(facts, queue)} waited ${waited}`)];
  const what = `${bottleneckOf(facts, queue)} is saturated: ${packets} packets wait for it now, and others have waited ${waited}`;
  const advice =
    'nothing to do: flows take turns, so the others hardly wait, and those that send too much are slowed down (docs/latency.md)';
  return [finding('link-saturated', what, { advice })];
}

/** `eth0 (20.0 Mbit/s)`, or the configured rate if that is lower. */
function bottleneckOf(facts: SubjectFacts, { rate, drainRate }: TunnelStats['queue']): string {
  if (rate !== null && !isSlower(drainRate, rate)) return `the configured rate of ${formatBitRate(rate)}`;
  return drainRate === null ? deviceOf(facts) : `${deviceOf(facts)} (${formatBitRate(drainRate)})`;
}

/** The device through which datagrams leave. */
function deviceOf({ path }: SubjectFacts): string {
  const route = path === null || path.peer.address === null ? null : path.peer.route;
  return route?.device ?? 'the link';
}

/** Both in bit/s. What a link takes is measured to a few percent. */
function isSlower(drainRate: number | null, rate: number): boolean {
  return drainRate !== null && drainRate < 0.95 * rate;
}

function checkRate(facts: SubjectFacts, { queue: { rate, drainRate } }: TunnelStats): Finding[] {
  if (rate === null || drainRate === null || !isSlower(drainRate, rate)) return [];
  const what = `rate is ${formatBitRate(rate)}, but ${deviceOf(facts)} took only ${formatBitRate(drainRate)} when packets last waited for it`;
  const advice = `if ${deviceOf(facts)} is the bottleneck, omit rate: ttun follows the link by itself; if there is another behind it, set rate below what that one takes`;
  return [finding('rate-too-high', what, { advice })];
}

/** What the socket holds when its buffer is full, and the link has been seen to fill it. */
function checkBuffer(
  { queue, sendBuffer }: ResolvedOptions,
  { queue: { drainRate }, socket }: TunnelStats,
): Finding[] {
  if ((queue && sendBuffer === null) || drainRate === null) return [];
  // Half of what getsockopt(2) reports is for the kernel's own data.
  const held = socket.sendBuffer / 2;
  const ms = (held * 8 * 1000) / drainRate;
  if (ms < NOTABLE_MS) return [];
  const cause = queue ? `sendBuffer = ${sendBuffer}` : 'queue = false';
  const what = `with ${cause}, the socket holds up to ${formatBytes(held)}, for which every packet waits ${formatMilliseconds(ms)} at ${formatBitRate(drainRate)}`;
  return [finding('send-buffer-slow', what, { advice: `omit ${cause}` })];
}

/** Longer than CoDel lets packets wait, and long enough to be noticed. */
const NOTABLE_MS = 20;

/** Round trips that take much longer than the shortest, although nothing waits here. */
function checkQueueElsewhere({ queue, probe: { address, rttMs } }: TunnelStats): Finding[] {
  const { min, p50 } = rttMs;
  if (address === null || min === null || p50 === null || queue.rate !== null) return [];
  if (p50 - min < NOTABLE_RISE_MS || p50 < NOTABLE_FACTOR * min) return [];
  const what = `half of the round trips of the probe take more than ${formatMilliseconds(p50)}, but the shortest takes ${formatMilliseconds(min)}`;
  const advice =
    "if that is so while this host sends much: set rate a little below that of the slowest link, such as rate = '18 Mbit/s', and compare";
  return [finding('queue-elsewhere', what, { advice })];
}

const NOTABLE_RISE_MS = 50;
const NOTABLE_FACTOR = 3;
