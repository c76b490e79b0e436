import { readFileSync } from 'node:fs';

export type Libc = 'glibc' | 'musl';

/**
 * The C library that this Node runs on. The native part has to be for the same, whatever other programs of the machine use: there are
 * systems with musl on which Node has brought its own glibc, and the reverse.
 */
export function libcOfNode(): Libc {
  const files = mappedFiles();
  const isGlibc = files === null ? glibcVersion() !== null : GLIBC.test(files);
  return isGlibc ? 'glibc' : 'musl';
}

/** `2.36`; `null` where Node runs on another C library. */
export function glibcVersion(): string | null {
  const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
  const { excludeNetwork = false } = report;
  // It would look up the names of all hosts that the process is connected to, and wait for the answers.
  report.excludeNetwork = true;
  const { header }: NodeReport = Object(report.getReport());
  report.excludeNetwork = excludeNetwork;
  return header.glibcVersionRuntime ?? null;
}

/** `libc.so.6`, which is a link to `libc-2.31.so` before glibc 2.34. It may have been replaced since Node was started. */
const GLIBC = /\/libc(?:\.so\.6|-\d[\d.]*\.so)(?: \(deleted\))?$/m;

interface NodeReport {
  readonly header: { readonly glibcVersionRuntime?: string };
}

/** Their paths stand at the ends of lines. Node's report, which tells the same, takes twenty times as long. */
function mappedFiles(): string | null {
  try {
    return readFileSync('/proc/self/maps', 'utf8');
  } catch {
    return null;
  }
}
