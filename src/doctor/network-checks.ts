/** Checks of the network: the local address, the path to the peer, filters, and routes through the tunnel. */
import type { BindingInterface, BindingRoute } from '../../binding.cjs';
import { formatIpAddress } from '../address.ts';
import type { IpAddress } from '../address.ts';
import { overlap, parseNetwork } from '../network.ts';
import { settingCommand, settingOf } from './facts.ts';
import type { HostFacts, PeerFacts, SubjectFacts, PathFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding, FindingCode } from './finding.ts';

export function checkLocalEnd({ subject, path }: SubjectFacts, { interfaces }: HostFacts): Finding[] {
  const { options } = subject;
  if (options === null || path === null) return [];
  const { address, port } = options.local;
  const local = address === null ? 'this host' : formatIpAddress(address);
  if (path.binding === 'possible') return [ok(`UDP port ${port} of ${local} is free`)];
  if (path.binding === 'taken') return [portTaken(path, port, local)];
  if (path.binding === 'forbidden') return [portForbidden(port)];
  const zone = address?.zone ?? null;
  if (zone !== null && !interfaces.some(({ name, index }) => zone === name || zone === `${index}`)) {
    return [noInterface(zone)];
  }
  return [notHere(path, local, address, interfaces)];
}

function portForbidden(port: number): Finding {
  return finding('port-forbidden', `this user may not use UDP port ${port}`, {
    commands: [`sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`],
    advice: 'or choose a port of 1024 or above',
  });
}

function notHere(
  { peer }: PathFacts,
  local: string,
  address: IpAddress | null,
  interfaces: readonly BindingInterface[],
): Finding {
  if (address !== null && isListed(address, interfaces)) {
    return finding('local-not-here', `${local} cannot be used yet, or another host has it too`, {
      advice: 'check whether it stays tentative or is dadfailed: ip -6 address',
    });
  }
  return finding('local-not-here', `${local} is not an address of this host`, {
    commands: address === null ? [] : additions(peer, address, interfaces),
    advice: 'or use an address of this host: ip -brief address',
  });
}

function portTaken({ portHolders }: PathFacts, port: number, local: string): Finding {
  const tunnel = portHolders.find(({ isTunnel }) => isTunnel);
  if (tunnel !== undefined) return ok(`the tunnel itself uses UDP port ${port} of ${local}`);
  const code: FindingCode = 'port-taken';
  if (portHolders.length === 0) {
    const advice = `run as root to see which program: ss -ulnp 'sport = :${port}'; or choose another port`;
    return finding(code, `UDP port ${port} of ${local} is in use`, { advice });
  }
  const names = portHolders.map(({ name, pid }) => `${name} (process ${pid})`).join(' and ');
  return finding(code, `${names} uses UDP port ${port} of ${local}`, {
    commands: portHolders.map(({ pid }) => `kill ${pid}`),
    advice: 'or choose another port',
  });
}

function isListed({ text, zone }: IpAddress, interfaces: readonly BindingInterface[]): boolean {
  const candidates = interfaces.filter(
    ({ name, index }) => zone === null || zone === name || zone === `${index}`,
  );
  return candidates.some(({ addresses }) => addresses.some((own) => own.split('/')[0] === text));
}

/** Adds the address to the interface in whose network it is, or else to the one that leads to the peer; never to a tunnel. */
function additions(
  peer: PeerFacts,
  { family, text, zone }: IpAddress,
  interfaces: readonly BindingInterface[],
): string[] {
  if (zone !== null) {
    const link = interfaces.find(({ name, index }) => zone === name || zone === `${index}`);
    // Without nodad it could not be used at once.
    return link === undefined ? [] : [`ip address add ${text}/64 dev ${link.name} nodad`];
  }
  const candidates = interfaces.filter(({ kind, up }) => kind === 'other' && up);
  const host = parseNetwork(text);
  const neighbour = candidates.find(({ addresses }) =>
    addresses.some((own) => overlap(parseNetwork(own), host)),
  );
  const towardsPeer = peer.address === null || peer.plainRoute?.local === true ? null : peer.plainRoute;
  const chosen = neighbour ?? candidates.find(({ name }) => name === towardsPeer?.device);
  return chosen === undefined ? [] : [`ip address add ${text}/${family === 4 ? 32 : 128} dev ${chosen.name}`];
}

/** Whether datagrams reach the peer, and not the tunnel itself. */
export function checkPeer({ subject, path }: SubjectFacts): Finding[] {
  const { options } = subject;
  if (options === null || path === null) return [];
  const { bindDevice } = options;
  if (bindDevice !== null && !path.bindDeviceExists) {
    return [noInterface(bindDevice)];
  }
  const { peer } = path;
  if (peer.address === null) {
    return peer.problem === null ? [] : [finding('peer-unresolved', peer.problem, { advice: peer.hint })];
  }
  const { address, route, detour, bypass } = peer;
  if (route === null) {
    const [ip, zone] = address.text.split('%');
    const device = bindDevice ?? zone;
    const oif = device === undefined ? '' : ` oif ${device}`;
    const mark = options.fwmark === null ? '' : ` mark ${options.fwmark}`;
    const advice = `see: ip route get ${ip}${oif}${mark}`;
    return [finding('peer-unreachable', `there is no route to ${address.text}`, { advice })];
  }
  if (detour.at(-1) === subject.device) return [throughTunnel(address, detour, bypass)];
  if (route.local) return [finding('peer-is-here', `${address.text} is an address of this host`)];
  const gateway = route.gateway === null ? 'directly' : `via ${route.gateway}`;
  return [ok(`${address.text} is reached through ${route.device}, ${gateway}`)];
}

function noInterface(name: string): Finding {
  const advice = 'ip -brief link lists the interfaces of this host';
  return finding('bind-device-missing', `there is no interface ${name}`, { advice });
}

function throughTunnel(address: IpAddress, detour: readonly string[], bypass: BindingRoute | null): Finding {
  const others = detour.slice(0, -1);
  const device = detour.at(-1);
  const where =
    others.length === 0
      ? `${device} itself`
      : `${others.join(', then into ')}, and from there back into ${device}`;
  const what = `the route to the peer, ${address.text}, leads into ${where}`;
  if (bypass === null) {
    const advice = `add a route to ${address.text} through the interface that reaches it, or set bindDevice to that interface`;
    return finding('peer-through-tunnel', what, { advice });
  }
  const via = bypass.gateway === null ? '' : ` via ${bypass.gateway}`;
  const network = `${address.text}/${address.family === 4 ? 32 : 128}`;
  return finding('peer-through-tunnel', what, {
    // The existing host route to the peer may be the wrong one.
    commands: [`ip route replace ${network}${via} dev ${bypass.device}`],
    advice: `or bindDevice = "${bypass.device}" in the tunnel's configuration`,
  });
}

const STRICT = 1;
const LOOSE = 2;

/**
 * Datagrams from the peer arrive on the interface that ours leave through. Where `bindDevice` or `fwmark` overrides the routing
 * table, the filter, which looks only at the table, treats those datagrams as spoofed. IPv6 has no such filter.
 */
export function checkRpFilter({ path }: SubjectFacts, { settings }: HostFacts): Finding[] {
  if (path === null || path.peer.address === null || path.peer.address.family === 6) return [];
  const { address, route, plainRoute } = path.peer;
  if (route === null || route.local || route.device === plainRoute?.device) return [];
  // The stricter of the two applies (Documentation/networking/ip-sysctl.rst).
  const names = [settingOf('all', 'rp_filter'), settingOf(route.device, 'rp_filter')];
  const inForce = Math.max(...names.map((name) => settings.get(name) ?? 0));
  if (inForce !== STRICT) return [];
  const what = `packets from ${address.text} on ${route.device} are dropped: the routing table leads back through ${plainRoute?.device ?? 'no interface'}`;
  return [
    finding('rp-filter', what, { commands: [settingCommand(settingOf(route.device, 'rp_filter'), LOOSE)] }),
  ];
}

/** Whether replies to accepted packets go back through the tunnel. */
export function checkReturnRoutes({ subject, device, returnRoutes }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || !device.up) return [];
  const wanted = subject.options?.interface ?? null;
  const planned = [...(wanted?.routes ?? []), ...(wanted?.addresses ?? [])];
  return returnRoutes
    .filter(({ route }) => route?.device !== device.name)
    .filter(({ network }) => !planned.some((one) => overlap(one, parseNetwork(network))))
    .map(({ network, route }) => {
      const reply =
        route === null ? 'there is no return route' : `replies would leave through ${route.device}`;
      const what = `packets from ${network} are accepted, but ${reply}`;
      return finding('source-not-routed', what, { commands: [`ip route add ${network} dev ${device.name}`] });
    });
}

const FORWARDING = [
  { family: 4, setting: 'net.ipv4.ip_forward' },
  { family: 6, setting: 'net.ipv6.conf.all.forwarding' },
] as const;

/** Routes into the tunnel usually mean that this host forwards for others. */
export function checkForwarding({ subject }: SubjectFacts, { settings }: HostFacts): Finding[] {
  const routes = subject.options?.interface?.routes ?? [];
  return FORWARDING.filter(
    ({ family, setting }) => routes.some((route) => route.family === family) && settings.get(setting) === 0,
  ).map(({ family, setting }) =>
    finding('forwarding-off', `this host does not forward IPv${family} packets`, {
      commands: [`sysctl -w ${setting}=1`],
    }),
  );
}
