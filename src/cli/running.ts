/** Running tunnels and processes, chosen by the names and numbers that users give. */
import { resolve } from 'node:path';
import { survey } from '../control/client.ts';
import type { Found, Silent, Survey } from '../control/client.ts';
import { ControlError } from '../control/protocol.ts';
import type { ProcessReport, ShowReply } from '../control/protocol.ts';
import { describeNetworkNamespace, userId } from '../control/socket-file.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import { UsageError } from './args.ts';

/** A tunnel, and the process that runs it. */
export interface RunningTunnel {
  /** Path of the control socket of the process. */
  readonly path: string;
  readonly process: ProcessReport;
  readonly report: TunnelReport;
}

export function runningTunnels({ replies }: Survey): RunningTunnel[] {
  return replies.flatMap(({ path, reply }) =>
    reply.tunnels.map((report) => ({ path, process: reply.process, report })),
  );
}

/**
 * The tunnels with one of these names, in all processes; all tunnels if no name is given. What is the name of no tunnel may be the name
 * of a device.
 *
 * @throws ControlError when a name matches no tunnel
 */
export function withNames(found: Survey, names: readonly string[]): RunningTunnel[] {
  const tunnels = runningTunnels(found);
  const unknown = names.find(
    (name) => !tunnels.some(({ report }) => report.name === name || report.device === name),
  );
  if (unknown !== undefined) {
    throw unknownTunnel(unknown, [...new Set(tunnels.map(({ report }) => report.name))], found.silent);
  }
  const wanted = wantedBy(
    names,
    tunnels.map(({ report }) => report),
  );
  return tunnels.filter(({ report }) => wanted(report));
}

/** Whether a tunnel is one of these, of which `all` are running. */
export function wantedBy(
  names: readonly string[],
  all: readonly TunnelReport[],
): (tunnel: TunnelReport) => boolean {
  if (names.length === 0) return () => true;
  const isTunnel = (wanted: string): boolean => all.some(({ name }) => name === wanted);
  const devices = new Set(names.filter((name) => !isTunnel(name)));
  return ({ name, device }) => names.includes(name) || devices.has(device);
}

/** A process that does not answer may have the tunnel. */
function unknownTunnel(name: string, known: readonly string[], silent: readonly Silent[]): ControlError {
  if (silent.length > 0) {
    const problems = silent.map(({ error }) => error.message).join('; ');
    return new ControlError('no-answer', `cannot tell whether tunnel ${name} is running: ${problems}`);
  }
  const running = known.length === 0 ? 'no tunnel is running' : `running: ${known.join(', ')}`;
  return new ControlError('unknown-tunnel', `there is no tunnel ${name}; ${running}`);
}

/** The replies of the processes; if names are given, only with the tunnels of these names. */
export function toDocuments(found: Survey, names: readonly string[]): ShowReply[] {
  const documents = found.replies.map(({ reply }) => reply);
  if (names.length === 0) return documents;
  const wanted = wantedBy(
    names,
    documents.flatMap(({ tunnels }) => tunnels),
  );
  return documents
    .map((reply) => ({ ...reply, tunnels: reply.tunnels.filter(wanted) }))
    .filter(({ tunnels }) => tunnels.length > 0);
}

/**
 * The one tunnel with this name. If several processes have one, a tunnel in the network namespace of the caller is preferred, then
 * one of the same user.
 *
 * @throws ControlError when there is none, or more than one
 */
export async function findTunnel(name: string, pid: number | null): Promise<RunningTunnel> {
  const named = withNames(await survey(), [name]);
  const namespace = (await describeNetworkNamespace()).inode;
  const [found, another] =
    pid === null
      ? preferred(named, [
          ({ process }) => process.networkNamespace.inode === namespace,
          ({ process }) => process.uid === userId(),
        ])
      : named.filter(({ process }) => process.pid === pid);
  if (found === undefined) {
    throw new ControlError(
      'unknown-tunnel',
      `process ${pid} has no tunnel ${name}; choose one that has: --pid ${listed(named)}`,
    );
  }
  if (another === undefined) return found;
  const hint = `choose one: --pid ${listed(named)}`;
  throw new ControlError('several-processes', `${named.length} processes have a tunnel ${name}`, hint);
}

/** Applies each test that leaves at least one tunnel. */
function preferred(
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

/** Which `ttun up` to choose. */
export interface Choice {
  /** Path of its configuration file. */
  readonly config?: string;
  /** Its process ID, as typed. */
  readonly pid?: string;
}

/**
 * The control socket of the chosen `ttun up`.
 *
 * @throws ControlError when there is none, or more than one
 */
export async function findProcess({ config, pid }: Choice): Promise<string> {
  const wantedPid = pid === undefined ? undefined : parsePid(pid);
  const wantedFile = config === undefined ? undefined : resolve(config);
  const { replies, silent } = await survey();
  const candidates = replies.filter(
    ({ reply }) =>
      reply.process.config !== null &&
      (wantedPid === undefined || reply.process.pid === wantedPid) &&
      (wantedFile === undefined || reply.process.config === wantedFile),
  );
  const [chosen, ...others] = candidates;
  if (chosen !== undefined && others.length === 0) return chosen.path;
  throw chosen === undefined ? noProcess(silent) : severalProcesses(candidates);
}

function parsePid(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new UsageError(`'${text}' is not a process ID`);
}

function noProcess(silent: readonly Silent[]): ControlError {
  const unknown = silent.map(({ path }) => path).join(', ');
  return new ControlError(
    'no-process',
    `no such ttun up is running${unknown === '' ? '' : `; some processes do not answer: ${unknown}`}`,
    'list the running tunnels with: ttun show',
  );
}

function severalProcesses(candidates: readonly Found[]): ControlError {
  const list = candidates.map(({ reply }) => `${reply.process.config} (process ${reply.process.pid})`);
  return new ControlError(
    'several-processes',
    `${candidates.length} processes are running: ${list.join(', ')}`,
    'choose one: ttun reload -c <file>, or --pid <pid>',
  );
}
