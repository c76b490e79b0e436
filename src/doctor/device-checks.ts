/** Whether a tunnel can attach to the device. */
import type { BindingInterface } from '../../binding.cjs';
import { IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../address.ts';
import { isLinkLocal } from './facts.ts';
import type { HostFacts, Program, SubjectFacts, User } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';

export function checkDevice({ subject, device, attached }: SubjectFacts, { user }: HostFacts): Finding[] {
  const { device: name, options } = subject;
  if (device === null) {
    return options?.interface?.create === true ? [willBeMade(name)] : [missing(name, user)];
  }
  if (device.kind === 'tap') return [isTap(name, user)];
  if (device.kind === 'other') {
    const advice = 'choose another name; ip tuntap lists the TUN devices';
    return [finding('device-not-tun', `${name} is an interface of another kind`, { advice })];
  }
  const isTunnel = attached.some((program) => program.isTunnel);
  if (!mayAttach(device, user) && !isTunnel) return [notOwner(device, user)];
  return [ok(`${name} is a TUN device${user.mayConfigure ? '' : ' to which this user may attach'}`)];
}

function willBeMade(name: string): Finding {
  return ok(`${name} is made when the tunnel starts`);
}

function missing(name: string, user: User): Finding {
  return finding('device-missing', `there is no device ${name}`, { commands: [creation(name, user)] });
}

function isTap(name: string, user: User): Finding {
  return finding('device-is-tap', `${name} is a TAP device`, {
    commands: [`ip tuntap del dev ${name} mode tap`, creation(name, user)],
  });
}

/** An owner and a group must both fit where both are set (`tun_not_capable` in drivers/net/tun.c). */
function mayAttach({ owner, group }: BindingInterface, { uid, gids, mayConfigure }: User): boolean {
  if (mayConfigure) return true;
  return (owner === null || owner === uid) && (group === null || gids.includes(group));
}

/** The owner of a device can't be changed, so it is made again with what it has. */
function notOwner(device: BindingInterface, user: User): Finding {
  const { name, owner, group, multiQueue, mtu, addresses, up } = device;
  const whose = owner === null ? `group ${group}` : `user ${owner}`;
  const queues = multiQueue ? ' multi_queue' : '';
  return finding('device-not-owner', `${name} is for ${whose}, and this is user ${user.uid} (${user.name})`, {
    commands: [
      `ip tuntap del dev ${name} mode tun${queues}`,
      `${creation(name, user)}${queues}`,
      ...(mtu === DEFAULT_MTU ? [] : [`ip link set dev ${name} mtu ${mtu}`]),
      ...addresses
        .filter((address) => !isLinkLocal(address))
        .map((address) => `ip address add ${address} dev ${name}`),
      ...(up ? [`ip link set dev ${name} up`] : []),
    ],
  });
}

const DEFAULT_MTU = 1500;

/** What makes the device for this user. */
function creation(name: string, { name: user, mayConfigure }: User): string {
  return `ip tuntap add dev ${name} mode tun${mayConfigure ? '' : ` user ${user}`}`;
}

// Whether somebody else has the device.

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

// Whether the device is ready for packets, or will be when the tunnel has set it up.

export function checkDeviceState({ subject, device }: SubjectFacts, { interfaces }: HostFacts): Finding[] {
  if (device?.kind !== 'tun') return [];
  const { name, up } = device;
  const wishes = subject.options?.interface ?? null;
  const found: Finding[] = [];
  if (wishes?.up === false || (!up && wishes?.up !== true)) {
    const advice = wishes?.up === false ? 'the configuration takes it down (up = false)' : null;
    found.push(
      finding('device-down', `${name} is down`, { commands: [`ip link set dev ${name} up`], advice }),
    );
  }
  const addresses = device.addresses.filter((address) => !isLinkLocal(address));
  if (addresses.length === 0 && (wishes?.addresses ?? []).length === 0) {
    found.push(withoutAddress(device, interfaces));
  }
  return found.length > 0 ? found : [ok(`${name} is ${describe(addresses, wishes?.addresses ?? [])}`)];
}

function withoutAddress({ name }: BindingInterface, interfaces: readonly BindingInterface[]): Finding {
  const network = freeNetwork(interfaces);
  return finding('address-missing', `${name} has no address`, {
    commands: [`ip address add ${network}.1/24 dev ${name}`],
    advice: `and ${network}.2/24 on the other host; any subnet will do that neither host uses`,
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

function describe(addresses: readonly string[], wished: readonly string[]): string {
  const all = [...new Set([...addresses, ...wished])].join(' and ');
  return addresses.length > 0 && wished.length === 0 ? `up, with ${all}` : `brought up with ${all}`;
}

export function checkMtu({ subject, device, way }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || way === null || way.peer.address === null) return [];
  const { address, route } = way.peer;
  if (route === null || route.device === subject.device) return [];
  const wishes = subject.options?.interface ?? null;
  if (wishes?.mtu === 'auto') return [ok('the MTU is chosen when the tunnel starts')];

  const hasIpv6 = [...device.addresses, ...(wishes?.addresses ?? [])].some((text) => text.includes(':'));
  const fits = route.mtu - OUTER_OVERHEAD[address.family];
  const best = hasIpv6 ? Math.max(fits, IPV6_MINIMUM_MTU) : fits;
  const configured = wishes?.mtu ?? null;
  const mtu = configured ?? device.mtu;
  if (mtu <= best) return [ok(`packets of ${mtu} bytes, the MTU of ${device.name}, fit the way to the peer`)];
  const what = `the MTU of ${device.name} is ${mtu}, and ${fits} bytes fit the way to the peer (MTU ${route.mtu})`;
  // What the file says would be set again when the tunnel starts.
  if (configured !== null)
    return [finding('mtu-too-large', what, { advice: `configure mtu = "auto", or ${best}` })];
  return [finding('mtu-too-large', what, { commands: [`ip link set dev ${device.name} mtu ${best}`] })];
}
