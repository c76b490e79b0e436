import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, survey } from '../../control/client.ts';
import { MalformedCapture, PcapngReader } from '../../control/pcapng.ts';
import { ControlError, WHOLE_PACKET } from '../../control/protocol.ts';
import type { CaptureRequest } from '../../control/protocol.ts';
import { describeNetworkNamespace, userId } from '../../control/socket-file.ts';
import { TtunError } from '../../errors.ts';
import { parseArguments, UsageError } from '../args.ts';
import { abortOnSignals } from '../run-tunnel.ts';
import { runningTunnels, withNames } from '../running.ts';
import type { RunningTunnel } from '../running.ts';
import { abandonThreadsAtExit, endByHangUp, endSoon, FLUSH_LIMIT_MS, say, sayError } from '../terminal.ts';
import { describeError, grouped } from '../text.ts';
import { Output, OutputError, ReaderGone } from './capture-output.ts';
import { SPEC } from './capture/spec.ts';

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

// What the arguments of `ttun capture` ask for.

export interface CaptureArguments {
  readonly request: CaptureRequest;
  readonly target: Target;
  /** Process of the tunnel, when it was named. */
  readonly pid: number | null;
}

export type Target =
  | { readonly kind: 'lines' }
  | { readonly kind: 'json' }
  /** `path` is `null` for standard output. */
  | { readonly kind: 'pcap' | 'pcapng'; readonly path: string | null };

/** @throws UsageError */
export function parseCaptureArguments(args: readonly string[]): CaptureArguments {
  const { values, operands } = parseArguments(SPEC, args);
  const [tunnel = ''] = operands;
  const snapLength = parseNumber('--snap-length', values['snap-length'], WHOLE_PACKET);
  return {
    request: {
      tunnel,
      snapLength: snapLength ?? WHOLE_PACKET,
      count: parseNumber('--count', values.count, Number.MAX_SAFE_INTEGER),
      direction: parseDirection(values.direction),
    },
    target: chooseTarget(values.write, values.json),
    pid: parseNumber('--pid', values.pid, Number.MAX_SAFE_INTEGER),
  };
}

function chooseTarget(path: string | undefined, json = false): Target {
  if (path === undefined) return { kind: json ? 'json' : 'lines' };
  if (json) throw new UsageError('--json and --write exclude each other; give one of them');
  if (path !== '-') return { kind: path.endsWith('.pcapng') ? 'pcapng' : 'pcap', path };
  if (process.stdout.isTTY) {
    throw new UsageError(
      'a terminal cannot show a pcap file; give -w a file, let a program read it (-w - | tcpdump -r -), or leave out -w',
    );
  }
  return { kind: 'pcap', path: null };
}

function parseNumber(option: string, text: string | undefined, most: number): number | null {
  if (text === undefined) return null;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= most) return number;
  const range = most === Number.MAX_SAFE_INTEGER ? 'from 1' : `from 1 to ${most}`;
  throw new UsageError(`${option}: '${text}' is not a number ${range}`);
}

function parseDirection(text: string | undefined): 'in' | 'out' | null {
  if (text === undefined) return null;
  if (text === 'in' || text === 'out') return text;
  throw new UsageError(`--direction: '${text}' is neither in nor out`);
}

// The one tunnel that is meant by a name.

/**
 * Where several processes have a tunnel of that name, one in the network namespace of who asks, or of the same user, is meant.
 *
 * @throws ControlError when there is none, or more than one
 */
export async function findTunnel(name: string, pid: number | null): Promise<RunningTunnel> {
  const named = withNames(runningTunnels(await survey()), [name]);
  const namespace = (await describeNetworkNamespace()).inode;
  const [found, another] =
    pid === null
      ? narrowed(named, [
          ({ process }) => process.networkNamespace.inode === namespace,
          ({ process }) => process.uid === userId(),
        ])
      : named.filter(({ process }) => process.pid === pid);
  if (found === undefined) {
    throw new ControlError('unknown-tunnel', `process ${pid} has no tunnel ${name}, but ${listed(named)}`);
  }
  if (another === undefined) return found;
  const hint = `choose one: --pid ${listed(named)}`;
  throw new ControlError('several-processes', `${named.length} processes have a tunnel ${name}`, hint);
}

/** By each of the tests that leaves some. */
function narrowed(
  tunnels: readonly RunningTunnel[],
  tests: readonly ((tunnel: RunningTunnel) => boolean)[],
): readonly RunningTunnel[] {
  return tests.reduce((left, test) => {
    const passing = left.filter((tunnel) => test(tunnel));
    return passing.length > 0 ? passing : left;
  }, tunnels);
}

/** `12 (network namespace siteA) or 14` */
function listed(tunnels: readonly RunningTunnel[]): string {
  const processes = tunnels.map(({ process: { pid, networkNamespace } }) =>
    networkNamespace.name === null ? `${pid}` : `${pid} (network namespace ${networkNamespace.name})`,
  );
  return processes.join(' or ');
}

// Copies captured packets from the tunnel's process to the output.

export class Copy {
  /** Packets that the output has taken. */
  captured = 0;
  readonly #reader = new PcapngReader();
  readonly #output: Output;
  readonly #signal: AbortSignal;
  #isStuck = false;

  /** @param signal is aborted when it is to end */
  constructor(output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  /** Packets that passed, and that the output could not take fast enough. */
  get lost(): number {
    return this.#reader.lost + (this.#isStuck ? this.#reader.captured - this.captured : 0);
  }

  /** Whether the tunnel's process told the figures at the end. */
  get isComplete(): boolean {
    return this.#reader.isComplete;
  }

  /** Resolves when all has come and the output has it; when that is stuck, the rest is only counted. */
  async run(chunks: AsyncIterable<Buffer>, snapLength: number): Promise<void> {
    await this.#take(this.#output.begin(snapLength));
    for await (const chunk of chunks) {
      const { packets, blocks } = this.#reader.read(chunk);
      if (!this.#isStuck) await this.#take(this.#output.packets(packets, blocks));
      if (!this.#isStuck) this.captured += packets.length;
    }
    if (!this.#isStuck) await this.#take(this.#output.close());
  }

  async #take(writing: Promise<void>): Promise<void> {
    const done = new AbortController();
    try {
      await Promise.race([writing, this.#becomeStuck(done.signal)]);
    } finally {
      done.abort();
    }
  }

  async #becomeStuck(done: AbortSignal): Promise<void> {
    try {
      if (!this.#signal.aborted) await once(this.#signal, 'abort', { signal: done });
      await sleep(FLUSH_LIMIT_MS, undefined, { signal: done });
      this.#isStuck = true;
    } catch {
      // It is done.
    }
  }
}
