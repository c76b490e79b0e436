import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MalformedCapture, PcapngReader } from '../../../control/capture/pcapng-reader.ts';
import type { CaptureRequest } from '../../../control/capture/request.ts';
import { Connection } from '../../../control/client.ts';
import { ControlError } from '../../../control/error.ts';
import { endByHangUp } from '../../hang-up.ts';
import { abortOnSignals } from '../../signals.ts';
import { say, sayError } from '../../talk.ts';
import { grouped } from '../../wording.ts';
import { parseCaptureArguments } from './arguments.ts';
import type { CaptureArguments } from './arguments.ts';
import { findTunnel } from './find-tunnel.ts';
import { Output, OutputError, ReaderGone } from './output.ts';

export async function run(args: readonly string[]): Promise<number> {
  const wanted = parseCaptureArguments(args);
  const signal = abortOnSignals();
  const code = await capture(wanted, signal).catch(reportError);
  // Output that nobody takes must not hold up the end of the process.
  setTimeout(() => process.exit(), FLUSH_LIMIT_MS).unref();
  if (signal.reason === 'SIGHUP') endByHangUp();
  return code;
}

/** How long a slow reader of the output is waited for at the end, in ms. */
const FLUSH_LIMIT_MS = 1000;

function reportError(error: unknown): number {
  if (error instanceof ControlError) {
    sayError(error.hint === null ? error.message : `${error.message}; ${error.hint}`);
  } else if (error instanceof OutputError) sayError(error.message);
  else if (error instanceof MalformedCapture) {
    sayError('the process sends what makes no sense here; is it of another version of ttun?');
  } else throw error;
  return 1;
}

async function capture({ request, target, pid }: CaptureArguments, signal: AbortSignal): Promise<number> {
  const { path } = await findTunnel(request.tunnel, pid);
  // Before anything is captured: what cannot be kept need not be.
  const output = await Output.open(target);
  await using connection = await Connection.open(path);
  if (connection === null) throw new ControlError('no-answer', `the process of ${request.tunnel} has gone`);
  const chunks = await connection.capture(request);
  signal.addEventListener('abort', () => connection.finish(), { once: true });
  if (signal.aborted) connection.finish();
  say(`capturing ${request.tunnel}${output.place}; Ctrl-C ends it`);

  const reader = new PcapngReader();
  const copying = copy(chunks, reader, output, request.snapLength);
  const failure = await Promise.race([copying, limitAfter(signal)]).catch((error: unknown) => error);
  const code = failure === undefined && !signal.aborted ? tellEnd(reader, request) : 0;
  say(summarise(reader));
  if (failure === undefined || failure instanceof ReaderGone) return code;
  throw failure;
}

async function copy(
  chunks: AsyncIterable<Buffer>,
  reader: PcapngReader,
  output: Output,
  snapLength: number,
): Promise<void> {
  await output.begin(snapLength);
  for await (const chunk of chunks) {
    const { packets, blocks } = reader.read(chunk);
    await output.packets(packets, blocks);
  }
  await output.close();
}

/** A signal ends it also when nobody takes the output. */
async function limitAfter(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
  await sleep(FLUSH_LIMIT_MS, undefined, { ref: false });
}

/** Why it ended, where nobody here asked for it. */
function tellEnd({ isComplete, captured }: PcapngReader, { tunnel, count }: CaptureRequest): number {
  if (!isComplete) {
    sayError(`the process of ${tunnel} has gone without a word`);
    return 1;
  }
  if (captured !== count) say(`${tunnel} has ended`);
  return 0;
}

function summarise({ captured, lost }: PcapngReader): string {
  const some = `${grouped(captured)} ${captured === 1 ? 'packet' : 'packets'} captured`;
  return lost === 0 ? some : `${some}, ${grouped(lost)} not captured: too fast`;
}
