import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Program } from './program.ts';

const patience = 5000;
const listenState = '0A';

/**
 * Waits until a program listens for TCP connections at an IPv4 address, seen in the socket table of the network namespace
 * it runs in: trying to connect would use up a server that serves only once. False if it does not come to that.
 */
export async function waitUntilListening(
  program: Program,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<boolean> {
  const limit = AbortSignal.timeout(patience);
  while (program.running && !limit.aborted) {
    signal.throwIfAborted();
    if (listens(program.pid, address, port)) return true;
    await delay(10);
  }
  return false;
}

function listens(pid: number | undefined, address: string, port: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => local === kernelForm(address, port) && state === listenState);
  } catch {
    // It has ended.
    return false;
  }
}

/** `/proc/net/tcp` prints an address as one number in the byte order of the machine, and the port after it, in hex. */
function kernelForm(address: string, port: number): string {
  const bytes = Uint8Array.from(address.split('.'), Number);
  const [asNumber = 0] = new Uint32Array(bytes.buffer);
  return `${hex(asNumber, 8)}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
