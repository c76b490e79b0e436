/** Whether the device is ready for packets, or will be when the tunnel has set it up. */
import type { BindingInterface } from '../../../binding.cjs';
import type { HostFacts, SubjectFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { isLinkLocal } from '../link-local.ts';

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
