import { once } from 'node:events';
import { MalformedCapture } from '../../../control/capture/pcapng-reader.ts';
import type { CaptureRequest } from '../../../control/capture/request.ts';
import { Connection } from '../../../control/client.ts';
import { ControlError } from '../../../control/error.ts';
import { TtunError } from '../../../errors.ts';
import { abandonThreadsAtExit, endSoon } from '../../end.ts';
import { endByHangUp } from '../../hang-up.ts';
import { abortOnSignals } from '../../signals.ts';
import { say, sayError } from '../../talk.ts';
import { describeError, grouped } from '../../wording.ts';
import { parseCaptureArguments } from './arguments.ts';
import type { CaptureArguments } from './arguments.ts';
import { Copy } from './copy.ts';
import { findTunnel } from './find-tunnel.ts';
import { Output, OutputError, ReaderGone } from './output.ts';

export async function run(args: readonly string[]): Promise<number> {
  const wanted = parseCaptureArguments(args);
  const signal = abortOnSignals();
  const code = await capture(wanted, signal).catch(reportError);
  endSoon();
  if (signal.reason === 'SIGHUP') endByHangUp();
  return code;
}

function reportError(error: unknown): number {
  if (error instanceof ControlError || error instanceof TtunError) sayError(describeError(error));
  else if (error instanceof OutputError) sayError(error.message);
  else if (error instanceof MalformedCapture) {
    sayError('the process sends what makes no sense here; is it of another version of ttun?');
  } else throw error;
  return 1;
}

async function capture({ request, target, pid }: CaptureArguments, signal: AbortSignal): Promise<number> {
  await abandonThreadsAtExit();
  const { path } = await findTunnel(request.tunnel, pid);
  await using connection = await Connection.open(path);
  if (connection === null) throw new ControlError('no-answer', `the process of ${request.tunnel} has gone`);
  const chunks = await connection.capture(request);
  // Not before: a capture that is refused leaves the file as it was. A pipe is waited for until somebody reads it.
  const output = await Promise.race([Output.open(target), aborted(signal)]);
  if (output === null) return 0;
  signal.addEventListener('abort', () => connection.finish(), { once: true });
  if (signal.aborted) connection.finish();
  say(`capturing ${request.tunnel}${output.place}; Ctrl-C ends it`);

  const copy = new Copy(output, signal);
  const failure = await copy.run(chunks, request.snapLength).catch((error: unknown) => error);
  const code = failure === undefined && !signal.aborted ? tellEnd(copy, request) : 0;
  say(summarise(copy));
  if (failure === undefined || failure instanceof ReaderGone) return code;
  throw failure;
}

async function aborted(signal: AbortSignal): Promise<null> {
  if (!signal.aborted) await once(signal, 'abort');
  return null;
}

/** Why it ended, where nobody here asked for it. */
function tellEnd({ isComplete, captured }: Copy, { tunnel, count }: CaptureRequest): number {
  if (!isComplete) {
    sayError(`the process of ${tunnel} has gone without a word`);
    return 1;
  }
  if (captured !== count) say(`${tunnel} has ended`);
  return 0;
}

function summarise({ captured, lost }: Copy): string {
  const some = `${grouped(captured)} ${captured === 1 ? 'packet' : 'packets'} captured`;
  return lost === 0 ? some : `${some}, ${grouped(lost)} not captured: too fast`;
}
