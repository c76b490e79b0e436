/** Whether somebody else has the device. */
import type { HostFacts, Program, SubjectFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkAttached({ subject, device, attached }: SubjectFacts, { user }: HostFacts): Finding[] {
  if (device?.kind !== 'tun') return [];
  const name = subject.device;
  const others = attached.filter((program) => !program.isTunnel);
  const tunnel = attached.find((program) => program.isTunnel);
  if (others.length > 0) {
    const what = `${others.map(named).join(' and ')} ${others.length > 1 ? 'are' : 'is'} attached to ${name}`;
    const commands = others.map(({ pid }) => `kill ${pid}`);
    return [finding(device.multiQueue ? 'device-shared' : 'device-busy', what, { commands })];
  }
  if (tunnel !== undefined) return [ok(`a tunnel of ttun, process ${tunnel.pid}, is attached to ${name}`)];
  if (!device.carrier) return [ok(`nobody is attached to ${name}`)];
  // A program of somebody else, which only root sees.
  const advice = user.uid === 0 ? 'it may be in another container' : `root sees which: ttun doctor ${name}`;
  return [finding('device-busy', `a program of another user is attached to ${name}`, { advice })];
}

function named({ pid, name }: Program): string {
  return `${name} (process ${pid})`;
}
