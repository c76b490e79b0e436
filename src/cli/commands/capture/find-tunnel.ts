/** The one tunnel that is meant by a name. */
import { survey } from '../../../control/client.ts';
import { userId } from '../../../control/directories.ts';
import { ControlError } from '../../../control/error.ts';
import { describeNetworkNamespace } from '../../../control/process-report.ts';
import { runningTunnels, withNames } from '../../running.ts';
import type { RunningTunnel } from '../../running.ts';

/**
 * Where several processes have a tunnel of that name, one in the network namespace of who asks, or of the same user, is meant.
 *
 * @throws ControlError when there is none, or more than one
 */
export async function findTunnel(name: string, pid: number | null): Promise<RunningTunnel> {
  const named = withNames(runningTunnels(await survey()), [name]);
  const namespace = (await describeNetworkNamespace()).inode;
  const [found, another] =
    pid === null
      ? narrowed(named, [
          ({ process }) => process.networkNamespace.inode === namespace,
          ({ process }) => process.uid === userId(),
        ])
      : named.filter(({ process }) => process.pid === pid);
  if (found === undefined) {
    throw new ControlError('unknown-tunnel', `process ${pid} has no tunnel ${name}, but ${listed(named)}`);
  }
  if (another === undefined) return found;
  const hint = `choose one: --pid ${listed(named)}`;
  throw new ControlError('several-processes', `${named.length} processes have a tunnel ${name}`, hint);
}

/** By each of the tests that leaves some. */
function narrowed(
  tunnels: readonly RunningTunnel[],
  tests: readonly ((tunnel: RunningTunnel) => boolean)[],
): readonly RunningTunnel[] {
  return tests.reduce((left, test) => {
    const passing = left.filter((tunnel) => test(tunnel));
    return passing.length > 0 ? passing : left;
  }, tunnels);
}

/** `12 (network namespace siteA) or 14` */
function listed(tunnels: readonly RunningTunnel[]): string {
  const processes = tunnels.map(({ process: { pid, networkNamespace } }) =>
    networkNamespace.name === null ? `${pid}` : `${pid} (network namespace ${networkNamespace.name})`,
  );
  return processes.join(' or ');
}
