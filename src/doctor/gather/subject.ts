/** All about one device and its tunnel. */
import type { BindingInterface } from '../../../binding.cjs';
import type { IpAddress } from '../../address.ts';
import { TtunError } from '../../errors.ts';
import { parseNetwork } from '../../ip-network.ts';
import type { ResolvedOptions } from '../../options.ts';
import { resolveName } from '../../resolve-name.ts';
import type { AnswerFacts, HostFacts, PeerFacts, Subject, SubjectFacts, WayFacts } from '../facts.ts';
import { tryBinding } from './binding.ts';
import { toProgram } from './processes.ts';
import type { Process } from './processes.ts';
import { routeBeside, routeTo } from './routes.ts';
import { socketsAt } from './udp-sockets.ts';

export async function gatherSubject(
  subject: Subject,
  { interfaces }: HostFacts,
  processes: readonly Process[],
): Promise<SubjectFacts> {
  const { device, options } = subject;
  const attached = processes
    .filter(({ devices }) => devices.includes(device))
    .map((process_) => toProgram(process_, device));
  return {
    subject,
    device: interfaces.find(({ name }) => name === device) ?? null,
    attached,
    way: options === null ? null : await gatherWay(options, interfaces, processes),
    answers: gatherAnswers(options),
  };
}

async function gatherWay(
  options: ResolvedOptions,
  interfaces: readonly BindingInterface[],
  processes: readonly Process[],
): Promise<WayFacts> {
  const { local, remote, device } = options;
  const peer = await findPeer(options);
  const address = 'problem' in peer ? null : peer;
  const family = local.address?.family ?? remote.address?.family ?? address?.family ?? 4;
  const binding = await tryBinding(local, family);
  const sockets = binding === 'taken' ? socketsAt(local, family) : [];
  const holders = processes.filter((process_) => sockets.some((socket) => process_.sockets.has(socket)));
  const bindDevice = interfaces.find(({ name }) => name === options.bindDevice)?.index ?? null;
  return {
    binding,
    portHolders: holders.map((process_) => toProgram(process_, device)),
    bindDeviceExists: options.bindDevice === null || bindDevice !== null,
    peer:
      'problem' in peer
        ? { address: null, ...peer }
        : gatherPeer(peer, options, { bindDevice, isHere: binding !== 'not-here' }, interfaces),
  };
}

interface Unresolved {
  readonly problem: string;
  readonly hint: string | null;
}

async function findPeer({ local, remote }: ResolvedOptions): Promise<IpAddress | Unresolved> {
  if (remote.name === undefined) return remote.address;
  try {
    const [address] = await resolveName({ name: remote.name, port: remote.port, local }, null);
    return address;
  } catch (error) {
    if (!(error instanceof TtunError)) throw error;
    return { problem: error.message, hint: error.hint ?? null };
  }
}

function gatherPeer(
  address: IpAddress,
  { device, local, fwmark }: ResolvedOptions,
  { bindDevice, isHere }: { readonly bindDevice: number | null; readonly isHere: boolean },
  interfaces: readonly BindingInterface[],
): PeerFacts {
  // The kernel refuses to look for the way of what comes from an address that it does not have.
  const source = isHere ? (local.address?.text ?? null) : null;
  const route = routeTo(address, { source, bindDevice, fwmark });
  return {
    address,
    route,
    plainRoute: routeTo(address),
    bypass: route?.device === device ? routeBeside(device, address, interfaces) : null,
  };
}

function gatherAnswers(options: ResolvedOptions | null): AnswerFacts[] {
  return (options?.allowedSources ?? [])
    .map((network) => ({ network, ...parseNetwork(network) }))
    .filter(({ prefixLength }) => prefixLength > 0)
    .map(({ network, address }) => ({ network, route: routeTo({ text: address, scopeId: null }) }));
}
