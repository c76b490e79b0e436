/** What is wrong with a native part, as far as the dynamic loader says it badly or not at all. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * What to say of the file; `null` when nothing is wrong with it. One that was cut off would be mapped beyond its end, where SIGBUS ends
 * the process; one for another processor is said not to be there.
 */
export function flawOf(path: string): string | null {
  // Those for other processors are left to the dynamic loader.
  if (![...CPUS.values()].includes(process.arch)) return null;
  const { header, size } = readHeader(path);
  if (size < HEADER_BYTES) return `is cut off after ${size} bytes`;
  if (header.toString('latin1', 0, 4) !== '\u007fELF') return 'is no shared library';
  const cpu = cpuOf(header);
  if (cpu !== process.arch) return `is for ${cpu}`;
  const end = endOf(header);
  return size < end ? `is cut off after ${size} of ${end} bytes` : null;
}

/** By `e_machine` (elf(5)), the names of `process.arch`. All of them have 64 bits and are little-endian. */
const CPUS: ReadonlyMap<number, string> = new Map([
  [62, 'x64'],
  [183, 'arm64'],
]);

const HEADER_BYTES = 64;

function readHeader(path: string): { header: Buffer; size: number } {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    readSync(file, header);
    return { header, size: fstatSync(file).size };
  } finally {
    closeSync(file);
  }
}

function cpuOf(header: Buffer): string {
  const [bits, order] = [header[4], header[5]];
  const isKnown = bits === 2 && order === 1;
  return (isKnown && CPUS.get(header.readUInt16LE(18))) || 'another processor';
}

/** Where the table of sections ends (`e_shoff`, `e_shentsize`, `e_shnum`), which linkers put last. */
function endOf(header: Buffer): number {
  return Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
}
