/** `ttun lab`. */
import { spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { endIfTerminalIsGone, Interruption, listenForInterruption } from './interruption.ts';
import type { LabOptions } from './lab.ts';
import { helperProgram, nameDirectory } from './namespaces.ts';
import { findGround, unshareOptions } from './requirements.ts';
import { runScenario } from './scenario.ts';
import { describeTakenNames } from './setup.ts';

/**
 * Runs `ttun lab`: two sites on one machine, joined by a tunnel.
 *
 * @returns the exit code
 */
export async function runLab(options: LabOptions): Promise<number> {
  const { mode, missing } = await findGround();
  if (mode === null) return refuse(missing);
  // In its own user namespace, the lab sees only its own names.
  if (mode === 'root') {
    const taken = describeTakenNames();
    if (taken.length > 0) return refuse(taken);
  }
  const { signal, stopListening } = listenForInterruption();
  try {
    return await (mode === 'root' ? runScenario(options, mode, signal) : runInUserNamespace(options, signal));
  } finally {
    stopListening();
    endIfTerminalIsGone(signal);
  }
}

function refuse(reasons: string[]): number {
  for (const reason of reasons) process.stderr.write(`ttun lab: ${reason}\n`);
  return 1;
}

/** Runs the lab in a child process, inside a user namespace in which an ordinary user is root over its own network and mounts. */
function runInUserNamespace(options: LabOptions, interruption: AbortSignal): Promise<number> {
  const argv = [
    ...unshareOptions,
    process.execPath,
    helperProgram(),
    'user-namespace',
    JSON.stringify(options),
  ];
  const child = spawn('unshare', argv, {
    // Ctrl-C reaches only this process, which passes it on; the channel lets the child notice that this process is gone.
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  interruption.addEventListener('abort', () => {
    if (interruption.reason instanceof Interruption) child.kill(interruption.reason.signal);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}

/**
 * The lab in that child process.
 *
 * @returns the exit code
 */
export async function runAsNamespaceRoot(options: LabOptions): Promise<number> {
  if (!hideNamespaceNames()) return 1;
  // Next to the names, so that the tunnels' control sockets are removed with them: this root may not write elsewhere.
  process.env['RUNTIME_DIRECTORY'] = join(realpathSync(nameDirectory()), 'ttun');
  const { signal, stopListening } = listenForInterruption();
  try {
    return await runScenario(options, 'user-namespace', signal);
  } finally {
    stopListening();
    endIfTerminalIsGone(signal);
  }
}

/**
 * `ip netns` keeps the names of namespaces in a directory that belongs to the real root. This mounts an empty one over it, which only
 * this process and its children see. Where `ip netns add` was never run, that directory is missing, and its parent is used instead.
 * Where this fails, mount(8) prints why.
 */
function hideNamespaceNames(): boolean {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', realpathSync(nameDirectory())], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}
