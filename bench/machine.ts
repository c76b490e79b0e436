/** The machine of the measurements. */
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { runToEnd } from '../testbed/exec.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Processes that were ready to run before the bench began, mean over a minute; anything but 0 distorts the results. */
  readonly load: number;
  /** The default of TCP, which new namespaces inherit. It shapes every TCP figure. */
  readonly congestionControl: string;
  /** Commit of this checkout, with `+` when files differ from it; `null` outside of git. */
  readonly commit: string | null;
}

export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  const congestionControl = await readFile('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8');
  return {
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    congestionControl: congestionControl.trim(),
    commit: await currentCommit(),
  };
}

async function currentCommit(): Promise<string | null> {
  const { status, stdout } = await runToEnd(['git', 'describe', '--always', '--dirty=+', '--exclude=*']);
  return status === 0 ? stdout.trim() : null;
}
