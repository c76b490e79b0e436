/** What to examine: devices that are named, tunnels of a file, tunnels that run. */
import { stat } from 'node:fs/promises';
import { loadConfig } from '../config/index.ts';
import { resolveOptions } from '../config/resolve-options.ts';
import { survey } from '../control/client.ts';
import { TtunError } from '../errors.ts';
import type { ResolvedOptions } from '../options.ts';
import type { TunnelReport } from '../service/host.ts';
import type { HostFacts, Subject } from './facts.ts';

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
