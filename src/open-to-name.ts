/** Tunnels to a peer that is known by name: its address is found before the tunnel is opened, and again when it is silent. */
import { openTo } from './open-tunnel.ts';
import type { OpenTunnel } from './open-tunnel.ts';
import type { RemoteEndpoint, ResolvedOptions } from './options.ts';
import { PeerSearch } from './peer-search.ts';
import type { CreateTunnelSettings } from './tunnel.ts';
import { waitForName } from './wait-for-name.ts';

type NamedRemote = Extract<RemoteEndpoint, { readonly name: string }>;

export async function openToName(
  options: ResolvedOptions & { readonly remote: NamedRemote },
  settings: CreateTunnelSettings,
): Promise<OpenTunnel> {
  const { local, remote } = options;
  const peer = { name: remote.name, port: remote.port, local };
  const address = await waitForName(peer, settings);
  const tunnel = await openTo(address, options, settings);
  const search = new PeerSearch(peer, address, {
    packetsToSend: () => tunnel.stats().encap.received,
    setRemote: (text) => tunnel.setRemote(text),
  });
  tunnel.followState((state) => void search.look(state));
  return tunnel;
}
