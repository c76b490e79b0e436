import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { endIfTerminalIsGone, listenForInterruption } from './lab.ts';
import { nameDirectory } from './namespaces.ts';
import type { LabOptions } from './lab.ts';
import { playLab } from './scenario.ts';

if (hideNamespaceNames()) {
  // The control sockets of the tunnels are to vanish with the names: elsewhere this root, who is none, would leave a directory.
  process.env['RUNTIME_DIRECTORY'] = join(realpathSync(nameDirectory()), 'ttun');
  const { signal, stopListening } = listenForInterruption();
  // From playInUserNamespace.
  const options: LabOptions = JSON.parse(process.argv[2] ?? '');
  process.exitCode = await playLab(options, 'user-namespace', signal);
  stopListening();
  endIfTerminalIsGone(signal);
} else process.exitCode = 1;
// The channel to the parent would keep this process alive.
if (process.connected) process.disconnect();

/**
 * `ip netns` keeps the names of namespaces in a directory that belongs to the real root. Here it gets an empty one of its own,
 * visible to this process and its children only. Where nobody ever ran `ip netns add`, that directory is missing, and the one
 * above it stands in. Where this fails, mount(8) says why.
 */
function hideNamespaceNames(): boolean {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', realpathSync(nameDirectory())], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}
