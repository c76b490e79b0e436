/** Whether a socket can be bound to the local end. */
import { formatIpAddress } from '../../address.ts';
import type { IpAddress } from '../../address.ts';
import type { FindingCode } from '../catalogue.ts';
import type { PeerFacts, SubjectFacts, WayFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkLocalEnd({ subject, way }: SubjectFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null) return [];
  const { address, port } = options.local;
  const local = address === null ? 'this host' : formatIpAddress(address);
  if (way.binding === 'possible') return [ok(`UDP port ${port} of ${local} is free`)];
  if (way.binding === 'taken') return [portTaken(way, port, local)];
  if (way.binding === 'forbidden') return [portForbidden(port)];
  return [notHere(way, local, address)];
}

function portForbidden(port: number): Finding {
  return finding('port-forbidden', `this user may not use UDP port ${port}`, {
    commands: [`sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`],
    advice: 'or choose a port of 1024 or above',
  });
}

function notHere({ peer }: WayFacts, local: string, address: IpAddress | null): Finding {
  return finding('local-not-here', `${local} is not an address of this host`, {
    commands: address === null ? [] : additions(peer, address),
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

/** By the interface that leads to the peer. */
function additions(peer: PeerFacts, { family, text }: IpAddress): string[] {
  if (peer.address === null || peer.plainRoute === null || peer.plainRoute.local) return [];
  return [`ip address add ${text}/${family === 4 ? 32 : 128} dev ${peer.plainRoute.device}`];
}
