/** Chooses what to examine, gathers the facts, and runs the checks. */
import { stat } from 'node:fs/promises';
import { loadResolved } from '../config/load.ts';
import { formatProblem } from '../config/parse.ts';
import { resolveOptions } from '../config/resolve.ts';
import type { ResolvedOptions } from '../schema.ts';
import { survey } from '../control/client.ts';
import { ipBytes } from '../address.ts';
import { TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import { checkAttached, checkDevice, checkDeviceState, checkMtu } from './device-checks.ts';
import {
  checkConntrack,
  checkKernel,
  checkNative,
  checkPrivileges,
  checkSocketBuffers,
  checkTunNode,
} from './host-checks.ts';
import {
  checkReturnRoutes,
  checkForwarding,
  checkLocalEnd,
  checkPeer,
  checkRpFilter,
} from './network-checks.ts';
import type { HostFacts, Subject, SubjectFacts } from './facts.ts';
import { checkFirewall } from './firewall-checks.ts';
import { finding } from './finding.ts';
import type { Finding } from './finding.ts';
import {
  checkCounters,
  checkDeviceQueue,
  checkIllegalMarks,
  checkPeerAnswers,
  checkStrayDatagrams,
  isUnanswered,
} from './peer-checks.ts';
import { gatherHost } from './gather-host.ts';
import { gatherProcesses, gatherSubject, listener } from './gather-subject.ts';
import type { Measuring } from './gather-measurement.ts';
import { checkMeasuredPath } from './path-checks.ts';
import { checkNat, checkProbe } from './probe-checks.ts';
import { checkQueue } from './queue-checks.ts';

export interface Diagnosis {
  readonly sections: readonly Section[];
  /** Checks that were not possible, and why. */
  readonly unchecked: readonly Unchecked[];
}

export interface Section {
  /** `null`: this machine. */
  readonly subject: Subject | null;
  readonly findings: readonly Finding[];
}

/** What to examine besides this machine. */
export interface Choice {
  readonly subjects: readonly Subject[];
  /** What is already known of the file that they are from. */
  readonly findings?: readonly Finding[];
}

/** @param measuring whether to measure the paths, which takes some seconds */
export async function diagnose(
  choose: (host: HostFacts) => Choice | Promise<Choice>,
  measuring: Measuring | null = null,
): Promise<Diagnosis> {
  const host = await gatherHost();
  const { subjects, findings = [] } = await choose(host);
  const none = measuring !== null && subjects.length === 0 ? [nothingToMeasure()] : [];
  const sections: Section[] = [{ subject: null, findings: [...checkHost(host), ...findings, ...none] }];
  const unchecked = listUnchecked(host, subjects);
  // Without the native part nothing is known about devices and routes.
  if (host.native === null) {
    const processes = await gatherProcesses();
    let tunnels: Promise<readonly Subject[]> | null = null;
    const allTunnels = async (): Promise<Subject[]> => [
      ...subjects,
      ...(await (tunnels ??= runningSubjects())),
    ];
    // At once, as the doctor listens for a moment where a peer does not answer.
    const surroundings = { processes, tunnels: allTunnels, listen: listener() };
    const isMeasured = measuring === null ? () => false : measuredAmong(subjects);
    const gathered = subjects.map((subject) =>
      gatherSubject(subject, host, { ...surroundings, measuring: isMeasured(subject) ? measuring : null }),
    );
    for (const facts of await Promise.all(gathered)) {
      sections.push({ subject: facts.subject, findings: checkSubject(facts, host) });
      unchecked.push(...listUnlistened(facts));
    }
  }
  return { sections, unchecked };
}

function nothingToMeasure(): Finding {
  return finding('path-not-measured', 'no tunnel is running', { advice: 'start the tunnel first' });
}

/** Not the devices without a tunnel, unless there is nothing else. */
function measuredAmong(subjects: readonly Subject[]): (subject: Subject) => boolean {
  return subjects.some(hasTunnel) ? hasTunnel : () => true;
}

function hasTunnel({ options, socket }: Subject): boolean {
  return options !== null || socket !== null;
}

/** In the order in which a person would check. */
const HOST_CHECKS: readonly ((host: HostFacts) => Finding[])[] = [
  checkNative,
  checkTunNode,
  checkKernel,
  checkSocketBuffers,
  checkConntrack,
  checkCounters,
];

const SUBJECT_CHECKS: readonly ((subject: SubjectFacts, host: HostFacts) => Finding[])[] = [
  checkDevice,
  checkAttached,
  checkPrivileges,
  checkDeviceState,
  checkLocalEnd,
  checkPeer,
  checkPeerAnswers,
  checkStrayDatagrams,
  checkIllegalMarks,
  checkNat,
  checkMtu,
  checkProbe,
  checkQueue,
  checkMeasuredPath,
  checkDeviceQueue,
  checkRpFilter,
  checkFirewall,
  checkReturnRoutes,
  checkForwarding,
];

function checkHost(host: HostFacts): Finding[] {
  return HOST_CHECKS.flatMap((check) => check(host));
}

function checkSubject(subject: SubjectFacts, host: HostFacts): Finding[] {
  return SUBJECT_CHECKS.flatMap((check) => check(subject, host));
}

/**
 * All tunnels of a configuration file.
 *
 * @throws TtunConfigError when it is invalid
 */
export async function subjectsOfFile(path: string): Promise<Choice> {
  const { resolved, warnings } = await loadResolved(path);
  const running = await runningSubjects();
  const findings = warnings.map((warning) =>
    finding('config-warning', formatProblem({ ...warning, hint: null }), { advice: warning.hint }),
  );
  const subjects = [...resolved.tunnels].map(([name, options]) => {
    const twin = running.find(
      (subject) => subject.running?.name === name && subject.configured === options.device,
    );
    return toSubject(name, twin?.device ?? options.device, options, twin);
  });
  return { subjects, findings };
}

/** A device, with the tunnels running on it. */
export async function subjectsOfDevice(device: string, { interfaces }: HostFacts): Promise<Choice> {
  const { running, silence } = await surveyHere();
  const onDevice = running.filter((subject) => subject.device === device);
  if (onDevice.length > 0) return { subjects: onDevice };
  // It may have been renamed.
  const renamed = running.filter(({ configured }) => configured === device);
  if (renamed.length > 0 && !interfaces.some(({ name }) => name === device)) return { subjects: renamed };
  return { subjects: [idleSubject(device, silence)] };
}

/** All running tunnels, and all other TUN devices. */
export async function subjectsOfHost({ interfaces }: HostFacts): Promise<Choice> {
  const { running, silence } = await surveyHere();
  const idle = interfaces
    .filter(({ name, kind }) => kind === 'tun' && !running.some(({ device }) => device === name))
    .map(({ name }) => idleSubject(name, silence));
  return { subjects: [...running, ...idle] };
}

/** Only those to which packets for `address` are routed; all if that is none of them. */
export function onRouteTo(
  address: string | null,
  { subjects, ...rest }: Choice,
  { native }: HostFacts,
): Choice {
  if (address === null || native !== null) return { subjects, ...rest };
  const route = loadBinding().inspectRoute({ ...PLAIN, remote: ipBytes(address) });
  const onRoute = subjects.filter(({ device }) => device === route?.device);
  return { subjects: onRoute.length > 0 ? onRoute : subjects, ...rest };
}

const PLAIN = { local: null, bindDevice: null, fwmark: null };

async function runningSubjects(): Promise<RunningSubject[]> {
  return (await surveyHere()).running;
}

interface SurveyHere {
  /** Those in this network namespace: the others cannot be examined from here. */
  readonly running: RunningSubject[];
  /** Why there may be more; `null` if all processes have answered. */
  readonly silence: string | null;
}

async function surveyHere(): Promise<SurveyHere> {
  const namespace = (await stat('/proc/self/ns/net')).ino;
  const { replies, silent } = await survey();
  const here = replies.filter(({ reply }) => reply.process.networkNamespace.inode === namespace);
  const subjects = here.map(({ path, reply }) =>
    Promise.all(reply.tunnels.map((report) => runningSubject(report, reply.process.config, path))),
  );
  return { running: (await Promise.all(subjects)).flat(), silence: silent[0]?.error.message ?? null };
}

async function runningSubject(
  report: TunnelReport,
  config: string | null,
  socket: string,
): Promise<RunningSubject> {
  const inFile = config === null ? null : await optionsInFile(config, report.name);
  const configured = inFile?.device ?? report.device;
  const options = inFile ?? reportedOptions(report);
  return { ...toSubject(report.name, report.device, options, { running: report, socket }), configured };
}

interface RunningSubject extends Subject {
  /** The configured name of the device, which may have been renamed. */
  readonly configured: string;
}

/** `null` when they are invalid: the process may be of another version, or belong to a hostile user. */
function reportedOptions({ device, local, remote }: TunnelReport): ResolvedOptions | null {
  try {
    return resolveOptions({ device, local, remote });
  } catch (error) {
    if (error instanceof TtunError) return null;
    throw error;
  }
}

/** `null` when the file has changed since the tunnel started, or this user may not read it. */
async function optionsInFile(path: string, name: string): Promise<ResolvedOptions | null> {
  try {
    const { tunnels } = (await loadResolved(path)).resolved;
    return tunnels.get(name) ?? null;
  } catch (error) {
    if (error instanceof TtunError) return null;
    throw error;
  }
}

function toSubject(
  name: string,
  device: string,
  options: ResolvedOptions | null,
  { running, socket }: Pick<Subject, 'running' | 'socket'> = { running: null, socket: null },
): Subject {
  return {
    title: titleOf(name, device),
    device,
    options: options === null ? null : { ...options, device },
    running,
    socket,
    silence: null,
  };
}

/** A device on which no tunnel is known to run. */
function idleSubject(device: string, silence: string | null): Subject {
  return { title: device, device, options: null, running: null, socket: null, silence };
}

function titleOf(name: string, device: string): string {
  return name === device ? device : `${name} (${device})`;
}

/** Something that the doctor cannot see as this user or on this machine. */
export interface Unchecked {
  readonly what: string;
  readonly why: string;
}

function listUnlistened({ subject: { title, running }, arrivals }: SubjectFacts): Unchecked[] {
  if (arrivals !== null || running === null || !isUnanswered(running)) return [];
  const why = 'only root may listen to the datagrams of this host';
  return [{ what: `whether the peer of ${title} sends from another address`, why }];
}

function listUnchecked(host: HostFacts, subjects: readonly Subject[]): Unchecked[] {
  const { native, user, firewall, hasOldFirewall } = host;
  const unchecked: Unchecked[] = [];
  if (native !== null) {
    unchecked.push({ what: 'devices, routes and sockets', why: "ttun's native part is missing" });
  }
  if (firewall === null) {
    const why = user.mayConfigure ? 'nft is not installed, or failed' : 'only root may read its rules';
    unchecked.push({ what: 'the firewall', why });
  }
  if (hasOldFirewall) {
    unchecked.push({
      what: 'rules of iptables-legacy',
      why: 'nft does not show them; see: iptables-legacy -S',
    });
  }
  if (user.uid !== 0) {
    unchecked.push({ what: 'programs of other users', why: 'only root can see what they have open' });
  }
  for (const { title, options, silence } of subjects) {
    if (options !== null) continue;
    const why = silence ?? 'no tunnel runs on it';
    unchecked.push({
      what: `the path to the peer of ${title}`,
      why: `${why}; use -c FILE to examine the tunnels of a file`,
    });
  }
  return unchecked;
}
