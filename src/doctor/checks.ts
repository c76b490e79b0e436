/** All checks, in the order in which a person would look. */
import { checkAttached, checkDevice, checkDeviceState, checkMtu } from './device-checks.ts';
import type { HostFacts, SubjectFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import {
  checkConntrack,
  checkKernel,
  checkNative,
  checkPrivileges,
  checkSocketBuffers,
  checkTunNode,
} from './host-checks.ts';
import {
  checkAnswers,
  checkFirewall,
  checkForwarding,
  checkLocalEnd,
  checkPeer,
  checkRpFilter,
} from './network-checks.ts';

const OF_HOST: readonly ((host: HostFacts) => Finding[])[] = [
  checkNative,
  checkTunNode,
  checkKernel,
  checkSocketBuffers,
  checkConntrack,
];

const OF_SUBJECT: readonly ((subject: SubjectFacts, host: HostFacts) => Finding[])[] = [
  checkDevice,
  checkAttached,
  checkPrivileges,
  checkDeviceState,
  checkLocalEnd,
  checkPeer,
  checkMtu,
  checkRpFilter,
  checkFirewall,
  checkAnswers,
  checkForwarding,
];

export function checkHost(host: HostFacts): Finding[] {
  return OF_HOST.flatMap((check) => check(host));
}

export function checkSubject(subject: SubjectFacts, host: HostFacts): Finding[] {
  return OF_SUBJECT.flatMap((check) => check(subject, host));
}
