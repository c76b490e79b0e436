/** Whether a socket can be bound to the local end. */
import type { BindingInterface, BindingRoute } from '../../binding.cjs';
import { formatIpAddress } from '../address.ts';
import type { IpAddress } from '../address.ts';
import { overlap, parseNetwork } from '../network.ts';
import { settingCommand, settingOf } from './facts.ts';
import type { HostFacts, InputChain, PeerFacts, SubjectFacts, WayFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding, FindingCode } from './finding.ts';

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

// Whether datagrams find a way to the peer, and not into the tunnel itself.

export function checkPeer({ subject, way }: SubjectFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null) return [];
  const { bindDevice } = options;
  if (bindDevice !== null && !way.bindDeviceExists) {
    const advice = 'ip -brief link lists the interfaces of this host';
    return [finding('bind-device-missing', `there is no interface ${bindDevice}`, { advice })];
  }
  const { peer } = way;
  if (peer.address === null) return [finding('peer-unresolved', peer.problem, { advice: peer.hint })];
  const { address, route, bypass } = peer;
  if (route === null) {
    const advice = `look at: ip route get ${address.text}`;
    return [finding('peer-unreachable', `there is no route to ${address.text}`, { advice })];
  }
  if (route.device === subject.device) return [throughTunnel(address, subject.device, bypass)];
  if (route.local) return [finding('peer-is-here', `${address.text} is an address of this host itself`)];
  const gateway = route.gateway === null ? 'directly' : `through ${route.gateway}`;
  return [ok(`${address.text} is reached by ${route.device}, ${gateway}`)];
}

function throughTunnel(address: IpAddress, device: string, bypass: BindingRoute | null): Finding {
  const what = `the route to the peer, ${address.text}, leads into ${device} itself`;
  if (bypass === null) {
    const advice = `add a route to ${address.text} by the interface that reaches it, or set bindDevice to that interface`;
    return finding('peer-through-tunnel', what, { advice });
  }
  const via = bypass.gateway === null ? '' : ` via ${bypass.gateway}`;
  const network = `${address.text}/${address.family === 4 ? 32 : 128}`;
  return finding('peer-through-tunnel', what, {
    // A route to the peer alone may be the very one that leads astray.
    commands: [`ip route replace ${network}${via} dev ${bypass.device}`],
    advice: `or bindDevice = "${bypass.device}" in the tunnel's configuration`,
  });
}

const STRICT = 1;
const LOOSE = 2;

/**
 * Datagrams of the peer come in by the interface by which ours leave. Where `bindDevice` or `fwmark` sends them another way than
 * the routing table would, the kernel, which judges by the table alone, takes those of the peer for forged. IPv6 has no such
 * filter.
 */
export function checkRpFilter({ way }: SubjectFacts, { settings }: HostFacts): Finding[] {
  if (way === null || way.peer.address === null || way.peer.address.family === 6) return [];
  const { address, route, plainRoute } = way.peer;
  if (route === null || route.local || route.device === plainRoute?.device) return [];
  // The stricter of the two holds (Documentation/networking/ip-sysctl.rst).
  const names = [settingOf('all', 'rp_filter'), settingOf(route.device, 'rp_filter')];
  const inForce = Math.max(...names.map((name) => settings.get(name) ?? 0));
  if (inForce !== STRICT) return [];
  const what = `what comes from ${address.text} by ${route.device} is dropped: the routing table would answer by ${plainRoute?.device ?? 'no interface'}`;
  return [
    finding('rp-filter', what, { commands: [settingCommand(settingOf(route.device, 'rp_filter'), LOOSE)] }),
  ];
}

export function checkFirewall({ subject, way }: SubjectFacts, { inputChains }: HostFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null || way.peer.address === null || inputChains === null) return [];
  const { port } = options.local;
  const { address } = way.peer;
  const saddr = address.family === 4 ? 'ip saddr' : 'ip6 saddr';
  return inputChains
    .filter(({ family }) => family === 'inet' || family === (address.family === 4 ? 'ip' : 'ip6'))
    .filter((chain) => !accepts(chain, port))
    .map(({ family, table, name }) =>
      finding(
        'firewall-input',
        `no rule of the firewall (${family} ${table} ${name}) accepts UDP port ${port}`,
        {
          commands: [
            `nft insert rule ${family} ${table} ${name} ${saddr} ${address.text} udp dport ${port} accept`,
          ],
          advice: `look at the rules: nft list table ${family} ${table}`,
        },
      ),
    );
}

function accepts({ acceptedPorts }: InputChain, port: number): boolean {
  return acceptedPorts.some(([first, last]) => first <= port && port <= last);
}

/** Whether answers to what the peer may send go back through the tunnel. */
export function checkAnswers({ subject, device, answers }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || !device.up) return [];
  const wishes = subject.options?.interface ?? null;
  const planned = [...(wishes?.routes ?? []), ...(wishes?.addresses ?? [])].map(parseNetwork);
  return answers
    .filter(({ route }) => route?.device !== device.name)
    .filter(({ network }) => !planned.some((one) => overlap(one, parseNetwork(network))))
    .map(({ network, route }) => {
      const way = route === null ? 'no route leads there' : `answers would leave by ${route.device}`;
      const what = `packets from ${network} are accepted, but ${way}`;
      return finding('source-not-routed', what, { commands: [`ip route add ${network} dev ${device.name}`] });
    });
}

const FAMILIES = [
  { name: 'IPv4', setting: 'net.ipv4.ip_forward', isMember: (network: string) => !network.includes(':') },
  {
    name: 'IPv6',
    setting: 'net.ipv6.conf.all.forwarding',
    isMember: (network: string) => network.includes(':'),
  },
] as const;

/** Routes into the tunnel often stand for other sites, whose hosts this one is to serve. */
export function checkForwarding({ subject }: SubjectFacts, { settings }: HostFacts): Finding[] {
  const routes = subject.options?.interface?.routes ?? [];
  return FAMILIES.filter(({ setting, isMember }) => routes.some(isMember) && settings.get(setting) === 0).map(
    ({ name, setting }) =>
      finding('forwarding-off', `this host does not pass on ${name} packets of others`, {
        commands: [`sysctl -w ${setting}=1`],
      }),
  );
}
