/** From what is to be examined to what was found. */
import { stat } from 'node:fs/promises';
import { loadConfig } from '../config/index.ts';
import { resolveOptions } from '../config/resolve-options.ts';
import { survey } from '../control/client.ts';
import { TtunError } from '../errors.ts';
import type { ResolvedOptions } from '../options.ts';
import type { TunnelReport } from '../service/host.ts';
import { checkHost, checkSubject } from './checks.ts';
import type { HostFacts, Subject } from './facts.ts';
import type { Finding } from './finding.ts';
import { gatherHost } from './gather-host.ts';
import { gatherProcesses, gatherSubject } from './gather-subject.ts';

export interface Diagnosis {
  readonly sections: readonly Section[];
  /** What could not be looked at, and why. */
  readonly unchecked: readonly Unchecked[];
}

export interface Section {
  /** `null`: this machine. */
  readonly subject: Subject | null;
  readonly findings: readonly Finding[];
}

/** @param choose what to examine besides this machine */
export async function diagnose(
  choose: (host: HostFacts) => Subject[] | Promise<Subject[]>,
): Promise<Diagnosis> {
  const host = await gatherHost();
  const subjects = await choose(host);
  const sections: Section[] = [{ subject: null, findings: checkHost(host) }];
  // Without the native part nothing is known of devices and routes.
  if (host.native === null) {
    const processes = await gatherProcesses();
    for (const subject of subjects) {
      const facts = await gatherSubject(subject, host, processes);
      sections.push({ subject, findings: checkSubject(facts, host) });
    }
  }
  return { sections, unchecked: listUnchecked(host, subjects) };
}

// What to examine: devices that are named, tunnels of a file, tunnels that run.

/**
 * All tunnels of a configuration file.
 *
 * @throws TtunConfigError when it is not right
 */
export async function subjectsOfFile(path: string): Promise<Subject[]> {
  const { tunnels } = await loadConfig(path);
  return [...tunnels].map(([name, options]) => toSubject(name, options.device, resolveOptions(options)));
}

/** A device, with the tunnels that run on it. */
export async function subjectsOfDevice(device: string): Promise<Subject[]> {
  const running = (await runningSubjects()).filter((subject) => subject.device === device);
  return running.length > 0 ? running : [{ title: device, device, options: null }];
}

/** All tunnels that run, and all TUN devices besides. */
export async function subjectsOfHost({ interfaces }: HostFacts): Promise<Subject[]> {
  const running = await runningSubjects();
  const idle = interfaces
    .filter(({ name, kind }) => kind === 'tun' && !running.some(({ device }) => device === name))
    .map(({ name }) => ({ title: name, device: name, options: null }));
  return [...running, ...idle];
}

/** Those of this network namespace: about the others nothing can be seen from here. */
async function runningSubjects(): Promise<Subject[]> {
  const namespace = (await stat('/proc/self/ns/net')).ino;
  const { replies } = await survey();
  const here = replies.filter(({ reply }) => reply.process.networkNamespace.inode === namespace);
  const subjects = here.map(({ reply }) =>
    Promise.all(reply.tunnels.map((report) => runningSubject(report, reply.process.config))),
  );
  return (await Promise.all(subjects)).flat();
}

async function runningSubject(report: TunnelReport, config: string | null): Promise<Subject> {
  const options = config === null ? optionsTold(report) : await optionsInFile(config, report.name);
  return toSubject(report.name, report.device, options);
}

/** `null` when they make no sense: they come from a process that may be of another version, or of a user who means no good. */
function optionsTold({ device, local, remote }: TunnelReport): ResolvedOptions | null {
  try {
    return resolveOptions({ device, local, remote });
  } catch (error) {
    if (error instanceof TtunError) return null;
    throw error;
  }
}

/** `null` when the file is not what it was when the tunnel was started, or this user may not read it. */
async function optionsInFile(path: string, name: string): Promise<ResolvedOptions | null> {
  try {
    const options = (await loadConfig(path)).tunnels.get(name);
    return options === undefined ? null : resolveOptions(options);
  } catch (error) {
    if (error instanceof TtunError) return null;
    throw error;
  }
}

function toSubject(name: string, device: string, options: ResolvedOptions | null): Subject {
  return { title: name === device ? device : `${name} (${device})`, device, options };
}

// What this user, or this machine, does not let the doctor see.

export interface Unchecked {
  readonly what: string;
  readonly why: string;
}

export function listUnchecked(host: HostFacts, subjects: readonly Subject[]): Unchecked[] {
  const { native, user, inputChains } = host;
  const unchecked: Unchecked[] = [];
  if (native !== null) {
    unchecked.push({ what: 'devices, routes and sockets', why: 'the native part of ttun is not there' });
  }
  if (inputChains === null) {
    const why = user.mayConfigure ? 'nft is not there, or gives no answer' : 'only root may read its rules';
    unchecked.push({ what: 'the firewall', why });
  }
  if (user.uid !== 0) {
    unchecked.push({ what: 'programs of other users', why: 'only root sees what they have open' });
  }
  for (const { title, options } of subjects) {
    if (options !== null) continue;
    const why = 'no tunnel runs on it; those of a file are examined with -c FILE';
    unchecked.push({ what: `the way to the peer of ${title}`, why });
  }
  return unchecked;
}
