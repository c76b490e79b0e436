/** The machine of the measurements. */
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { runToEnd } from '../testbed/exec.ts';

export interface Machine {
  /** Of the start, `2026-11-26`. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Processes that were ready to run before the bench began, mean over a minute; anything but 0 distorts the results. */
  readonly load: number;
  /** Commit of this checkout, with `+` when files differ from it; `null` outside of git. */
  readonly commit: string | null;
}

export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    commit: await currentCommit(),
  };
}

/** Names of the TCP congestion controls that the kernel has, or can load now that `wanted` was requested. */
export async function congestionControls(wanted: string): Promise<readonly string[]> {
  if (/^\w+$/.test(wanted) && !(await loadedControls()).includes(wanted)) {
    await runToEnd(['modprobe', '--quiet', `tcp_${wanted}`]).catch(() => null);
  }
  return loadedControls();
}

async function loadedControls(): Promise<readonly string[]> {
  const names = await readFile('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8');
  return names.trim().split(' ');
}

async function currentCommit(): Promise<string | null> {
  const { status, stdout } = await runToEnd(['git', 'describe', '--always', '--dirty=+', '--exclude=*']);
  return status === 0 ? stdout.trim() : null;
}
