/** `ttun capture`: prints or records the packets of a running tunnel. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../control/client.ts';
import { MalformedCapture, PcapngReader } from '../control/pcapng.ts';
import { ControlError, WHOLE_PACKET } from '../control/protocol.ts';
import type { CaptureRequest } from '../control/protocol.ts';
import { TtunError } from '../errors.ts';
import {
  abandonThreadsAtExit,
  abortOnSignals,
  endByHangUp,
  endSoon,
  FLUSH_LIMIT_MS,
  say,
  sayError,
} from '../terminal.ts';
import { parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';
import { Output, OutputError, ReaderGone } from './capture-output.ts';
import type { Target } from './capture-output.ts';
import { findTunnel } from './running.ts';
import { describeError, grouped } from './text.ts';

export const SPEC = {
  name: 'capture',
  usage: ['[-w <file>] [-c <count>] [-s <bytes>] [-d in|out] <name>'],
  description: [
    'Prints the packets inside a running tunnel, both directions in order of time, in the format of tcpdump; with -w, writes them to a file. This does not slow down the tunnel: packets that arrive too fast to be captured are counted, and the count is printed at the end.',
    'A tunnel started by ttun <tun> is named after its device. The capture ends with Ctrl-C or with the tunnel.',
  ],
  operands: [
    { label: '<name>', description: 'the name of the tunnel or of its device', completes: 'tunnel' },
  ],
  options: {
    write: {
      short: 'w',
      value: '<file>',
      description:
        'write to this file, or with - to standard output: in pcap format, or in pcapng, which includes directions, if the name ends in .pcapng',
      completes: 'file',
    },
    count: { short: 'c', value: '<count>', description: 'end after this many packets' },
    'snap-length': {
      short: 's',
      value: '<bytes>',
      description: 'capture only the first bytes of each packet; whole packets by default',
    },
    direction: {
      short: 'd',
      value: '<direction>',
      description: 'only packets received from the peer (in) or sent to it (out)',
      completes: ['in', 'out'],
    },
    pid: { value: '<pid>', description: 'the process, if several have a tunnel with this name' },
    json: {
      description:
        'print a JSON object for each packet, one a line: {"timestamp","direction","length","description","data"}; these are ms since the epoch, in or out, bytes, the packet in words, and its bytes in base64',
    },
  },
  examples: [
    { does: 'Print the packets', command: 'ttun capture tun0' },
    { does: 'Record 1,000 packets for Wireshark', command: 'ttun capture tun0 -c 1000 -w tun0.pcapng' },
    {
      does: 'Filter the packets with tcpdump',
      command: 'ttun capture tun0 -w - | tcpdump -n -r - tcp port 80',
    },
  ],
  exitCodes: {
    0: 'ended by Ctrl-C, by the count, or with the tunnel',
    1: 'there is no such tunnel, or the file cannot be written',
  },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseCaptureArguments(args);
  const signal = abortOnSignals();
  const code = await capture(parsed, signal).catch(reportError);
  endSoon();
  if (signal.reason === 'SIGHUP') endByHangUp();
  return code;
}

function reportError(error: unknown): number {
  if (error instanceof ControlError || error instanceof TtunError) sayError(describeError(error));
  else if (error instanceof OutputError) sayError(error.message);
  else if (error instanceof MalformedCapture) {
    sayError('the process sent invalid data; is it another version of ttun?');
  } else throw error;
  return 1;
}

async function capture(
  { request: { tunnel: wanted, ...what }, target, pid }: CaptureArguments,
  signal: AbortSignal,
): Promise<number> {
  await abandonThreadsAtExit();
  const { path, report } = await findTunnel(wanted, pid);
  // It may have been chosen by its device.
  const request = { ...what, tunnel: report.name };
  await using connection = await Connection.open(path);
  if (connection === null) throw new ControlError('no-answer', `the process of ${request.tunnel} has ended`);
  const chunks = await connection.capture(request);
  // Not earlier: a refused capture must not change the file. Opening a pipe waits for a reader.
  const output = await Promise.race([Output.open(target), aborted(signal)]);
  if (output === null) return 0;
  signal.addEventListener('abort', () => connection.finish(), { once: true });
  if (signal.aborted) connection.finish();
  say(`capturing ${request.tunnel}${output.place}; press Ctrl-C to stop`);

  const copy = new Copy(output, signal);
  const failure = await copy.run(chunks, request.snapLength).catch((error: unknown) => error);
  const code = failure === undefined && !signal.aborted ? reportEnd(copy, request) : 0;
  say(summarise(copy));
  if (failure === undefined || failure instanceof ReaderGone) return code;
  throw failure;
}

async function aborted(signal: AbortSignal): Promise<null> {
  if (!signal.aborted) await once(signal, 'abort');
  return null;
}

/** Reports why it ended without a signal. */
function reportEnd({ isComplete, captured }: Copy, { tunnel, count }: CaptureRequest): number {
  if (!isComplete) {
    sayError(`the process of ${tunnel} ended unexpectedly`);
    return 1;
  }
  if (captured !== count) say(`${tunnel} was closed`);
  return 0;
}

function summarise({ captured, lost }: Copy): string {
  const some = `${grouped(captured)} ${captured === 1 ? 'packet' : 'packets'} captured`;
  return lost === 0 ? some : `${some}, ${grouped(lost)} missed`;
}

interface CaptureArguments {
  readonly request: CaptureRequest;
  readonly target: Target;
  /** The process of the tunnel, if given. */
  readonly pid: number | null;
}

/** @throws UsageError */
function parseCaptureArguments(args: readonly string[]): CaptureArguments {
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
  if (json) throw new UsageError('--json and --write cannot be combined');
  if (path !== '-') return { kind: path.endsWith('.pcapng') ? 'pcapng' : 'pcap', path };
  if (process.stdout.isTTY) {
    throw new UsageError(
      'pcap data cannot be written to a terminal; give a file name, pipe it to a program (-w - | tcpdump -r -), or omit -w',
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

/** Copies captured packets from the tunnel's process to the output. */
class Copy {
  /** Packets written to the output. */
  captured = 0;
  readonly #reader = new PcapngReader();
  readonly #output: Output;
  readonly #signal: AbortSignal;
  #isStuck = false;

  /** @param signal aborts when the capture is to end */
  constructor(output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  /** Packets that were not captured because the reader or the output was too slow. */
  get lost(): number {
    return this.#reader.lost + (this.#isStuck ? this.#reader.captured - this.captured : 0);
  }

  /** Whether the tunnel's process sent its final statistics. */
  get isComplete(): boolean {
    return this.#reader.isComplete;
  }

  /** Resolves when everything has been received and written; if the output is stuck, the rest is only counted. */
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
      // The write has finished.
    }
  }
}
