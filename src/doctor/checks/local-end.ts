/** Whether a socket can be bound to the local end. */
import type { BindingInterface } from '../../../binding.cjs';
import { formatIpAddress } from '../../address.ts';
import type { IpAddress } from '../../address.ts';
import { overlap, parseNetwork } from '../../ip-network.ts';
import type { FindingCode } from '../catalogue.ts';
import type { HostFacts, PeerFacts, SubjectFacts, WayFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkLocalEnd({ subject, way }: SubjectFacts, { interfaces }: HostFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null) return [];
  const { address, port } = options.local;
  const local = address === null ? 'this host' : formatIpAddress(address);
  if (way.binding === 'possible') return [ok(`UDP port ${port} of ${local} is free`)];
  if (way.binding === 'taken') return [portTaken(way, port, local)];
  if (way.binding === 'forbidden') return [portForbidden(port)];
  return [notHere(way, local, address, interfaces)];
}

function portForbidden(port: number): Finding {
  return finding('port-forbidden', `this user may not use UDP port ${port}`, {
    commands: [`sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`],
    advice: 'or choose a port of 1024 or above',
  });
}

function notHere(
  { peer }: WayFacts,
  local: string,
  address: IpAddress | null,
  interfaces: readonly BindingInterface[],
): Finding {
  return finding('local-not-here', `${local} is not an address of this host`, {
    commands: address === null ? [] : additions(peer, address, interfaces),
    advice: 'or name an address that this host has: ip -brief address',
  });
}

function portTaken({ portHolders }: WayFacts, port: number, local: string): Finding {
  const tunnel = portHolders.find(({ isTunnel }) => isTunnel);
  if (tunnel !== undefined) return ok(`UDP port ${port} of ${local} is the tunnel's own`);
  const code: FindingCode = 'port-taken';
  if (portHolders.length === 0) {
    const advice = `root sees who has it: ss -ulnp 'sport = :${port}'; or choose another port`;
    return finding(code, `UDP port ${port} of ${local} is in use`, { advice });
  }
  const names = portHolders.map(({ name, pid }) => `${name} (process ${pid})`).join(' and ');
  return finding(code, `${names} has UDP port ${port} of ${local}`, {
    commands: portHolders.map(({ pid }) => `kill ${pid}`),
    advice: 'or choose another port',
  });
}

/** By the interface on whose network it is, or else the one that leads to the peer; never one that is a tunnel. */
function additions(
  peer: PeerFacts,
  { family, text }: IpAddress,
  interfaces: readonly BindingInterface[],
): string[] {
  const candidates = interfaces.filter(({ kind, up }) => kind === 'other' && up);
  const host = parseNetwork(text);
  const neighbour = candidates.find(({ addresses }) =>
    addresses.some((own) => overlap(parseNetwork(own), host)),
  );
  const towardsPeer = peer.address === null || peer.plainRoute?.local === true ? null : peer.plainRoute;
  const chosen = neighbour ?? candidates.find(({ name }) => name === towardsPeer?.device);
  return chosen === undefined ? [] : [`ip address add ${text}/${family === 4 ? 32 : 128} dev ${chosen.name}`];
}
