/** What the arguments of `ttun capture` ask for. */
import { WHOLE_PACKET } from '../../../control/capture/request.ts';
import type { CaptureRequest } from '../../../control/capture/request.ts';
import { parseArguments } from '../../parse.ts';
import { UsageError } from '../../usage-error.ts';
import { SPEC } from './spec.ts';

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
