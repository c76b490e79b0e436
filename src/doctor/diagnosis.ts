/** From what is to be examined to what was found. */
import { checkHost, checkSubject } from './checks/index.ts';
import type { HostFacts, Subject } from './facts.ts';
import type { Finding } from './finding.ts';
import { gatherHost } from './gather/host.ts';
import { gatherProcesses } from './gather/processes.ts';
import { gatherSubject } from './gather/subject.ts';
import { listUnchecked } from './unchecked.ts';
import type { Unchecked } from './unchecked.ts';

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
