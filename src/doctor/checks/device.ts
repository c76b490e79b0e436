/** Whether a tunnel can attach to the device. */
import type { BindingInterface } from '../../../binding.cjs';
import type { HostFacts, SubjectFacts, User } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { isLinkLocal } from '../link-local.ts';

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
