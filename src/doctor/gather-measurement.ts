/** Asks a running tunnel to measure its path. */
import { Connection } from '../control/client.ts';
import { ControlError } from '../control/protocol.ts';
import type { MeasuredPath, Subject } from './facts.ts';

export interface Measuring {
  /** Of the peer inside the tunnel; `null` leaves the choice to the tunnel. */
  readonly address: string | null;
}

export async function measure(
  { socket, running, title, silence }: Subject,
  { address }: Measuring,
): Promise<MeasuredPath> {
  if (socket === null || running === null) {
    const problem = `the path to the peer of ${title} cannot be measured: ${silence ?? 'no running tunnel answers for it'}`;
    const hint =
      'start the tunnel first; in a program that opens it itself, call measurePath() of the tunnel';
    return { measurement: null, problem, hint };
  }
  try {
    await using connection = await Connection.open(socket);
    if (connection === null) throw new ControlError('no-answer', 'the process has just ended');
    return { measurement: await connection.measurePath({ tunnel: running.name, address }) };
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.code !== 'unknown-request')
      return { measurement: null, problem: error.message, hint: error.hint };
    const problem = `the process of ${title} is of an older version, which cannot measure`;
    return { measurement: null, problem, hint: 'restart it with this version' };
  }
}

/** What the tunnel reports now. */
export async function reportAgain({ socket, running }: Subject): Promise<Subject['running']> {
  if (socket === null || running === null) return running;
  try {
    await using connection = await Connection.open(socket);
    const reply = await connection?.show(REPORT_LIMIT_MS);
    return reply?.tunnels.find(({ name }) => name === running.name) ?? running;
  } catch (error) {
    if (error instanceof ControlError) return running;
    throw error;
  }
}

const REPORT_LIMIT_MS = 2000;
