/** All checks, in the order in which a person would look. */
import type { HostFacts, SubjectFacts } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { checkAnswers } from './answers.ts';
import { checkAttached } from './attached.ts';
import { checkConntrack } from './conntrack.ts';
import { checkDeviceState } from './device-state.ts';
import { checkDevice } from './device.ts';
import { checkFirewall } from './firewall.ts';
import { checkForwarding } from './forwarding.ts';
import { checkKernel } from './kernel.ts';
import { checkLocalEnd } from './local-end.ts';
import { checkMtu } from './mtu.ts';
import { checkNative } from './native.ts';
import { checkPeer } from './peer.ts';
import { checkPrivileges } from './privileges.ts';
import { checkRpFilter } from './rp-filter.ts';
import { checkSocketBuffers } from './socket-buffers.ts';
import { checkTunNode } from './tun-node.ts';

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
