/** Finds the peer again when it is silent: its name may have got another address. */
import { formatEndpoint, formatIpAddress } from './address.ts';
import type { IpAddress } from './address.ts';
import { resolveName } from './resolve-name.ts';
import type { NamedPeer } from './resolve-name.ts';
import type { TunnelState } from './stats.ts';

/** How often the name of a silent peer is looked up, and how long an address may be silent while there are others. */
const AGAIN_MS = 30_000;

/** What the search does with the tunnel. */
export interface SearchingTunnel {
  /** Packets that came to be sent so far. */
  packetsToSend(): number;
  /** Sends to this address from now on; returns whether that can be done. */
  setRemote(remote: string): boolean;
}

/** The search for one peer. It acts when it is told the state, and at no other time. */
export class PeerSearch {
  readonly #peer: NamedPeer;
  readonly #tunnel: SearchingTunnel;
  readonly #resolve: typeof resolveName;
  readonly #now: () => number;
  #address: IpAddress;
  #silentSince: number | null;
  #lookedUpAt: number;
  #packetsThen = 0;
  #lookingUp = false;

  constructor(
    peer: NamedPeer,
    address: IpAddress,
    tunnel: SearchingTunnel,
    { resolve = resolveName, now = () => performance.now() }: SearchSeams = {},
  ) {
    this.#peer = peer;
    this.#address = address;
    this.#tunnel = tunnel;
    this.#resolve = resolve;
    this.#now = now;
    this.#silentSince = this.#lookedUpAt = now();
  }

  /** Looks the name up if the state says that it is time to, and takes what it now stands for. Never rejects. */
  async look(state: TunnelState): Promise<void> {
    if (state !== 'waiting') {
      this.#silentSince = null;
      return;
    }
    const now = this.#now();
    const fellSilent = this.#silentSince === null;
    this.#silentSince ??= now;
    if (this.#lookingUp || !(fellSilent || now - this.#lookedUpAt >= AGAIN_MS)) return;
    // To whom nothing is sent needs no address.
    const packets = this.#tunnel.packetsToSend();
    if (packets === this.#packetsThen) return;

    this.#packetsThen = packets;
    this.#lookedUpAt = now;
    this.#lookingUp = true;
    try {
      const addresses = await this.#resolve(this.#peer, this.#address.family);
      const since = this.#silentSince;
      // It may have answered meanwhile.
      if (since !== null) this.#take(this.#choose(addresses, now - since >= AGAIN_MS));
    } catch {
      // The address that there is may still be right; the name is looked up again anyway.
    } finally {
      this.#lookingUp = false;
    }
  }

  /** The address at hand if the name still stands for it, unless another one deserves a turn. */
  #choose(addresses: readonly IpAddress[], longSilent: boolean): IpAddress | undefined {
    const current = formatIpAddress(this.#address);
    const index = addresses.findIndex((address) => formatIpAddress(address) === current);
    if (index === -1) return addresses[0];
    return longSilent ? addresses[(index + 1) % addresses.length] : this.#address;
  }

  #take(address: IpAddress | undefined): void {
    if (address === undefined || formatIpAddress(address) === formatIpAddress(this.#address)) return;
    if (this.#tunnel.setRemote(formatEndpoint({ address, port: this.#peer.port }))) this.#address = address;
  }
}

/** What tests put in place of the resolver and the clock. */
export interface SearchSeams {
  readonly resolve?: typeof resolveName;
  readonly now?: () => number;
}
