/** `ttun --version`: everything that a bug report should include. */
import { release } from 'node:os';
import { TtunError } from '../errors.ts';
import { loadBinding, VERSION } from '../native.ts';
import { sayError } from '../terminal.ts';
import { describeError } from './text.ts';

/** Prints the versions on standard output; returns the exit code, which is 1 if the native part does not load. */
export async function printVersion(form: 'text' | 'json'): Promise<number> {
  const details = await findDetails();
  const { problem } = details;
  process.stdout.write(form === 'json' ? toJson(details) : describe(details));
  if (problem === null) return 0;
  sayError(describeError(problem));
  return 1;
}

interface VersionDetails {
  /** Of this package. */
  readonly version: string;
  /** The native part; `null` if it does not load or has another version. */
  readonly native: NativeDetails | null;
  /** Why there is no native part. */
  readonly problem: TtunError | null;
  readonly node: string;
  readonly kernel: string;
}

interface NativeDetails {
  readonly version: string;
  /** The target triple. */
  readonly target: string;
  readonly profile: string;
  /** `null` if it was unknown at build time. */
  readonly commit: string | null;
}

async function findDetails(): Promise<VersionDetails> {
  const about = { version: VERSION, node: process.versions.node, kernel: release() };
  try {
    const binding = loadBinding();
    return { ...about, native: { version: binding.version(), ...binding.build() }, problem: null };
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    return { ...about, native: null, problem: error };
  }
}

function toJson({ problem, ...about }: VersionDetails): string {
  const plain = problem && { code: problem.code, message: problem.message, hint: problem.hint };
  return `${JSON.stringify({ ...about, problem: plain })}\n`;
}

function describe({ version, native, node, kernel }: VersionDetails): string {
  return `ttun ${version}\nnative part: ${describeNative(native)}\nNode ${node}, ${process.platform} ${kernel}\n`;
}

function describeNative(native: NativeDetails | null): string {
  if (native === null) return 'none';
  return `${native.target}, ${native.profile}, commit ${native.commit ?? 'unknown'}`;
}
