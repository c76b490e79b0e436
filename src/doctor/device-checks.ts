/** Checks of the device: whether a tunnel can attach to it, and whether it is set up. */
import { isLinkLocal } from '../address.ts';
import type { BindingInterface } from '../../binding.cjs';
import { formatNetwork, IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../network.ts';
import type { HostFacts, Program, SubjectFacts, User } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';

export function checkDevice({ subject, device, attached }: SubjectFacts, { user }: HostFacts): Finding[] {
  const { device: name, options } = subject;
  if (device === null) {
    return options?.interface?.create === true ? [toBeCreated(name)] : [missing(name, user)];
  }
  if (device.kind === 'tap') return [isTap(name, user)];
  if (device.kind === 'other') {
    const advice = 'choose another name; ip tuntap lists the TUN devices';
    return [finding('device-not-tun', `${name} is not a TUN device`, { advice })];
  }
  const isTunnel = attached.some((program) => program.isTunnel);
  if (!mayAttach(device, user) && !isTunnel) return [notOwner(device, user)];
  return [ok(`${name} is a TUN device${user.mayConfigure ? '' : ' to which this user may attach'}`)];
}

function toBeCreated(name: string): Finding {
  return ok(`${name} will be created when the tunnel starts`);
}

function missing(name: string, user: User): Finding {
  return finding('device-missing', `there is no device ${name}`, { commands: [creation(name, user)] });
}

function isTap(name: string, user: User): Finding {
  return finding('device-is-tap', `${name} is a TAP device`, {
    commands: [`ip tuntap del dev ${name} mode tap`, creation(name, user)],
  });
}

/** Where an owner and a group are set, both must match (`tun_not_capable` in drivers/net/tun.c). */
function mayAttach({ owner, group }: BindingInterface, { uid, gids, mayConfigure }: User): boolean {
  if (mayConfigure) return true;
  return (owner === null || owner === uid) && (group === null || gids.includes(group));
}

/** The owner of a device cannot be changed, so the device is created again with the same settings. */
function notOwner(device: BindingInterface, user: User): Finding {
  const { name, owner, group, multiQueue, mtu, addresses, up } = device;
  const holder = owner === null ? `group ${group}` : `user ${owner}`;
  const queues = multiQueue ? ' multi_queue' : '';
  return finding(
    'device-not-owner',
    `${name} belongs to ${holder}, but this is user ${user.uid} (${user.name})`,
    {
      commands: [
        `ip tuntap del dev ${name} mode tun${queues}`,
        `${creation(name, user)}${queues}`,
        ...(mtu === DEFAULT_MTU ? [] : [`ip link set dev ${name} mtu ${mtu}`]),
        ...addresses
          .filter((address) => !isLinkLocal(address))
          .map((address) => `ip address add ${address} dev ${name}`),
        ...(up ? [`ip link set dev ${name} up`] : []),
      ],
    },
  );
}

const DEFAULT_MTU = 1500;

/** The command that creates the device for this user. */
function creation(name: string, { name: user, mayConfigure }: User): string {
  return `ip tuntap add dev ${name} mode tun${mayConfigure ? '' : ` user ${user}`}`;
}

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
  if (tunnel !== undefined) return [ok(`ttun (process ${tunnel.pid}) is attached to ${name}`)];
  if (!device.carrier) return [ok(`no program is attached to ${name}`)];
  // Only root sees which program of another user it is.
  const advice =
    user.uid === 0 ? 'it may be in another container' : `run as root to see which: ttun doctor ${name}`;
  return [finding('device-busy', `a program of another user is attached to ${name}`, { advice })];
}

function named({ pid, name }: Program): string {
  return `${name} (process ${pid})`;
}

/** Whether the device is ready for packets, or will be once the tunnel has set it up. */
export function checkDeviceState(facts: SubjectFacts, { interfaces }: HostFacts): Finding[] {
  const { subject, device } = facts;
  if (device?.kind !== 'tun') return [];
  const { name, up } = device;
  const wanted = subject.options?.interface ?? null;
  const isSetUp = subject.running?.phase === 'open';
  const found: Finding[] = [];
  const comesUp = wanted?.up === true && !isSetUp;
  if (wanted?.up === false || (!up && !comesUp)) {
    const advice = wanted?.up === false ? 'the configuration brings it down (up = false)' : null;
    found.push(
      finding('device-down', `${name} is down`, { commands: [`ip link set dev ${name} up`], advice }),
    );
  }
  const addresses = device.addresses.filter((address) => !isLinkLocal(address));
  const planned = (wanted?.addresses ?? []).map(formatNetwork);
  if (addresses.length === 0 && planned.length === 0) {
    found.push(withoutAddress(device, interfaces));
  }
  // What a device loses by going down is restored when it is up again.
  if (isSetUp && up) found.push(...checkSettings(facts, device));
  return found.length > 0 ? found : [ok(`${name} is ${describe(addresses, isSetUp ? [] : planned)}`)];
}

/** Whether the device of a running tunnel has what it was given. */
function checkSettings({ subject, networks }: SubjectFacts, device: BindingInterface): Finding[] {
  const { name } = device;
  const wanted = subject.options?.interface ?? null;
  if (wanted === null) return [];
  const addresses = wanted.addresses.map(formatNetwork).filter((text) => !device.addresses.includes(text));
  const routes = wanted.routes.map(formatNetwork).filter((text) => !networks.includes(text));
  const mtu = typeof wanted.mtu === 'number' && wanted.mtu !== device.mtu ? wanted.mtu : null;
  const lost = [
    ...(mtu === null ? [] : [`the MTU of ${mtu}`]),
    ...addresses.map((address) => `the address ${address}`),
    ...routes.map((network) => `the route to ${network}`),
  ];
  if (lost.length === 0) return [];
  const commands = [
    ...(mtu === null ? [] : [`ip link set dev ${name} mtu ${mtu}`]),
    ...addresses.map(
      (address) => `ip address add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`,
    ),
    ...routes.map((network) => `ip route add ${network} dev ${name} proto static`),
  ];
  const advice = wanted.restore ? null : 'ttun does not restore them, because interface.restore is false';
  return [finding('settings-lost', `${name} has lost ${listed(lost)}`, { commands, advice })];
}

function listed(items: readonly string[]): string {
  const shown =
    items.length > MOST_LISTED
      ? [...items.slice(0, MOST_LISTED), `${items.length - MOST_LISTED} more`]
      : items;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

const MOST_LISTED = 4;

function withoutAddress({ name }: BindingInterface, interfaces: readonly BindingInterface[]): Finding {
  const network = freeNetwork(interfaces);
  return finding('address-missing', `${name} has no address`, {
    commands: [`ip address add ${network}.1/24 dev ${name}`],
    advice: `and ${network}.2/24 on the other host; any subnet that neither host uses will do`,
  });
}

/** The first of 10.0.2.0/24, 10.0.3.0/24, … in which this host has no address. */
function freeNetwork(interfaces: readonly BindingInterface[]): string {
  const taken = interfaces.flatMap(({ addresses }) => addresses);
  for (let number = 2; number < 256; number += 1) {
    const network = `10.0.${number}`;
    if (!taken.some((address) => address.startsWith(`${network}.`))) return network;
  }
  return '10.0.2';
}

function describe(addresses: readonly string[], planned: readonly string[]): string {
  const all = [...new Set([...addresses, ...planned])].join(' and ');
  return addresses.length > 0 && planned.length === 0 ? `up, with ${all}` : `brought up with ${all}`;
}

/** No route has a smaller MTU (RFC 791, RFC 8200), bytes. */
const LEAST_PATH_MTU = { 4: 576, 6: IPV6_MINIMUM_MTU } as const;

export function checkMtu({ subject, device, path }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || path === null || path.peer.address === null) return [];
  const { address, route } = path.peer;
  if (route === null || route.device === subject.device || route.mtu < LEAST_PATH_MTU[address.family])
    return [];
  const wanted = subject.options?.interface ?? null;
  const isAutomatic = wanted?.mtu === 'auto';
  if (isAutomatic && subject.running?.phase !== 'open')
    return [ok('the MTU will be set when the tunnel starts')];

  const hasIpv6 =
    device.addresses.some((text) => text.includes(':')) ||
    (wanted?.addresses ?? []).some(({ family }) => family === 6);
  const fits = route.mtu - OUTER_OVERHEAD[address.family];
  const best = hasIpv6 ? Math.max(fits, IPV6_MINIMUM_MTU) : fits;
  const configured = typeof wanted?.mtu === 'number' ? wanted.mtu : null;
  const mtu = configured ?? device.mtu;
  if (mtu <= best)
    return [ok(`packets of ${mtu} bytes, the MTU of ${device.name}, fit the path to the peer`)];
  if (subject.options?.pathMtu === 'discover') {
    return [
      ok(`packets of up to ${fits} bytes fit the path to the peer; the senders of larger ones are told so`),
    ];
  }
  const what = `the MTU of ${device.name} is ${mtu}, but only ${fits} bytes fit the path to the peer (MTU ${route.mtu})`;
  // The tunnel would set the configured MTU again when it starts.
  if (configured !== null)
    return [
      finding('mtu-too-large', what, { advice: `set mtu = "auto" or mtu = ${best} in the configuration` }),
    ];
  return [finding('mtu-too-large', what, { commands: [`ip link set dev ${device.name} mtu ${best}`] })];
}
