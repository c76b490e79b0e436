/** The samples of perf(1). */
import { run } from '../../testbed/exec.ts';

/** One sample of a running thread. */
export interface Sample {
  readonly pid: number;
  /**
   * In the words of the caller: the system call it was in, `user space`, or `interrupts` outside of both. Protocol work that the
   * kernel did meanwhile (on a veth, all of the reception at the other end) is listed separately: `sendmsg, softirq`.
   */
  readonly place: string;
  /** The function itself, and the library or kernel module it belongs to. */
  readonly symbol: string;
  readonly library: string;
}

interface Frame {
  readonly symbol: string;
  readonly library: string;
}

const LIMIT_MS = 120_000;
const KERNEL = /^\[/;
/** Where system calls enter the kernel, on x86 and Arm; the function called next is the call's own. */
const ENTRY = /^(do_syscall_64|x64_sys_call|invoke_syscall)$/;
/** `__x64_sys_epoll_wait`, `__sys_sendmsg`, `ksys_read`, `do_writev`: the compiler leaves one or the other. */
const CALL_PREFIX = /^(__([a-z\d]+_)?sys_|ksys_|do_)/;
const SOFTIRQ = /^(handle_softirqs|__do_softirq)$/;

export async function readSamples(recording: string): Promise<readonly Sample[]> {
  const { stdout } = await run(['perf', 'script', '-i', recording, '-F', 'pid,ip,sym,dso'], {
    timeoutMs: LIMIT_MS,
  });
  return stdout
    .split(/\n\s*\n/)
    .map(parseSample)
    .filter((sample) => sample !== null);
}

/** The process on the first line, then the chain of callers from the innermost outwards. */
function parseSample(text: string): Sample | null {
  const [head = '', ...lines] = text.trim().split('\n');
  const frames = lines.map(parseFrame).filter((frame) => frame !== null);
  const [leaf] = frames;
  if (leaf === undefined) return null;
  return { pid: Number(head), place: placeOf(frames), ...leaf };
}

/** `ffffffff81b6c6b6 _copy_from_iter ([kernel.kallsyms])` */
function parseFrame(line: string): Frame | null {
  const [, symbol, path] = /^\s*[0-9a-f]+ (.+) \((.+)\)$/.exec(line) ?? [];
  if (symbol === undefined || path === undefined) return null;
  return { symbol, library: KERNEL.test(path) ? 'kernel' : path.replace(/^.*\//, '') };
}

function placeOf(frames: readonly Frame[]): string {
  const entry = frames.findIndex(({ symbol }) => ENTRY.test(symbol));
  if (entry === -1) return frames[0]?.library === 'kernel' ? 'interrupts' : 'user space';
  const call = frames[entry - 1]?.symbol.replace(CALL_PREFIX, '') ?? 'entry and exit of system calls';
  return frames.some(({ symbol }) => SOFTIRQ.test(symbol)) ? `${call}, softirq` : call;
}
