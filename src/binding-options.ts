/** Options that were checked, in the form in which the binding takes them. */
import type { BindingInterfaceOptions, BindingTunnelOptions } from '../binding.cjs';
import { formatEndpoint } from './address.ts';
import type { IpAddress } from './address.ts';
import type { ResolvedInterface, ResolvedOptions } from './options.ts';

/** `peer` is the address of the remote end: its own, or one that its name stands for. */
export function toBindingOptions(options: ResolvedOptions, peer: IpAddress): BindingTunnelOptions {
  const { local, remote } = options;
  return {
    ...options,
    local: formatEndpoint({ address: local.address ?? anyAddress(peer.family), port: local.port }),
    remote: formatEndpoint({ address: peer, port: remote.port }),
    allowedSources: options.allowedSources === null ? null : [...options.allowedSources],
    interface: options.interface === null ? null : toBindingInterface(options.interface),
  };
}

function anyAddress(family: IpAddress['family']): IpAddress {
  return { family, text: family === 4 ? '0.0.0.0' : '::', scopeId: null };
}

function toBindingInterface({ mtu, addresses, routes, ...rest }: ResolvedInterface): BindingInterfaceOptions {
  return {
    ...rest,
    addresses: [...addresses],
    routes: [...routes],
    mtu: mtu === 'auto' ? null : mtu,
    mtuAuto: mtu === 'auto',
  };
}
