/**
 * The search for a peer given by host name: which of its addresses to send to, and when to resolve the name again.
 *
 * Every address of the name gets its turn, of both families if the local address is left open, in the spirit of RFC 8305:
 * a tunnel has only one peer at a time, so the addresses are tried one after the other. The one that answers is kept.
 */
import { formatIpAddress } from './address.ts';
import type { Endpoint, IpAddress } from './address.ts';
import { asTtunError } from './errors.ts';
import type { TtunError } from './errors.ts';
import { resolveName } from './peer.ts';
import type { Addresses, NamedPeer } from './peer.ts';

/** The traffic with the current peer so far. */
export interface Observation {
  /** Packets read from the device, whether they were sent or dropped, and probes. */
  readonly packetsToSend: number;
  /** Datagrams received, including those of earlier peers and replies to probes. */
  readonly received: number;
  /** Whether any of them came from the current peer. */
  readonly isHeard: boolean;
  /** Errors that say that packets do not reach the peer, for example because it refuses them. */
  readonly refusals: number;
  /** Whether this host has no route or no address to send to the current peer. */
  readonly isCutOff: boolean;
}

/** The methods of a tunnel that the search uses. */
export interface SearchingTunnel {
  observe(): Observation;
  /** Sends to this address from now on; rejects if that is not possible. */
  setRemote(remote: Endpoint): Promise<void>;
  /** Called with each different reason why the peer cannot be found; with `null` once there is none. */
  setPeerProblem(error: TtunError | null): void;
}

/** How long an address that refuses is kept, because an answer may still arrive. */
const REFUSED_MS = 1000;

/** Once each address has had its turn, turns become longer, up to this. */
const LONGEST_REFUSED_MS = 10_000;

/** How long an address may be silent while packets are sent to it. */
const SILENT_MS = 30_000;

/** The same for the first of the other addresses once one has worked, which then gets every second turn. */
const SILENT_MS_BESIDES_PROVEN = 5000;

/** How often the name is resolved while the peer does not answer. */
const LOOKUP_INTERVAL_MS = 30_000;

/** How often it is resolved while nothing is sent or heard. */
const IDLE_LOOKUP_INTERVAL_MS = 60_000;

/** How long a lookup may take before the known addresses are tried. */
const LOOKUP_PATIENCE_MS = 2000;

/** Searches for one peer, whenever `check` is called. */
export class PeerSearch {
  readonly #peer: NamedPeer;
  readonly #tunnel: SearchingTunnel;
  readonly #resolve: typeof resolveName;
  readonly #now: () => number;
  readonly #random: () => number;
  /** The addresses from the last lookup of the name. */
  #addresses: Addresses;
  #address: IpAddress;
  /** The last address that answered. */
  #proven: IpAddress | null = null;
  /** The last address that was tried, other than the proven one. */
  #tried: IpAddress;
  /** Changes of the address since the peer was last heard. */
  #changes = 0;
  #last: Observation;
  /** When the silence of this address began. */
  #quietSince: number;
  /** When the first unanswered packet was sent to it; `null` if there is none. */
  #unansweredSince: number | null = null;
  #refusedSince: number | null = null;
  /** By how much this turn is longer or shorter than usual. */
  #stretch: number;
  #lookedUpAt: number;
  #isLookingUp = false;
  #isChanging = false;
  #problem: string | null = null;

  /** @param addresses of the name, among them `address`, which the tunnel was opened to */
  constructor(
    peer: NamedPeer,
    addresses: Addresses,
    address: IpAddress,
    tunnel: SearchingTunnel,
    { resolve = resolveName, now = () => performance.now(), random = Math.random }: SearchFakes = {},
  ) {
    this.#peer = peer;
    this.#addresses = addresses;
    this.#address = this.#tried = address;
    this.#tunnel = tunnel;
    this.#resolve = resolve;
    this.#now = now;
    this.#random = random;
    this.#stretch = this.#nextStretch();
    this.#last = tunnel.observe();
    this.#quietSince = this.#lookedUpAt = now();
  }

  /** Resolves the name again when that is due, and changes to another address if the current one does not answer. Never rejects. */
  async check(): Promise<void> {
    const now = this.#now();
    this.#observe(now);
    const isDue = this.#isDue(now);
    const lookup = this.#isLookupDue(now, isDue) ? this.#lookUp(now) : null;
    const isWaitingForLookup = this.#isLookingUp && now - this.#lookedUpAt < LOOKUP_PATIENCE_MS;
    if (isDue && !isWaitingForLookup) await this.#tryNext();
    await lookup;
    if (lookup !== null && this.#isDue(this.#now())) await this.#tryNext();
  }

  #observe(now: number): void {
    const before = this.#last;
    const seen = this.#tunnel.observe();
    this.#last = seen;
    if (seen.isHeard && (seen.received > before.received || !before.isHeard)) {
      this.#proven = this.#address;
      this.#tried = this.#address;
      this.#changes = 0;
      this.#stretch = this.#nextStretch();
      this.#startAgain(now);
      this.#report(null);
      return;
    }
    if (seen.packetsToSend > before.packetsToSend) this.#unansweredSince ??= now;
    // While nothing is sent to a peer, it is not expected to answer.
    const isRefused = seen.refusals > before.refusals || seen.isCutOff;
    if (isRefused && this.#unansweredSince !== null) this.#refusedSince ??= now;
  }

  #startAgain(now: number): void {
    this.#quietSince = now;
    this.#unansweredSince = this.#refusedSince = null;
  }

  /** Whether the address has had its turn. */
  #isDue(now: number): boolean {
    const { refused, silent } = this.#patience();
    const is = (since: number | null, ms: number): boolean => since !== null && now - since >= ms;
    return is(this.#refusedSince, refused) || is(this.#unansweredSince, silent);
  }

  #patience(): { refused: number; silent: number } {
    const rounds = Math.floor(this.#changes / this.#addresses.length);
    const refused = Math.min(REFUSED_MS * 2 ** rounds, LONGEST_REFUSED_MS);
    const isRetried = this.#proven !== null && this.#changes > 0;
    const silent = isRetried ? SILENT_MS_BESIDES_PROVEN * 2 ** (this.#changes - 1) : SILENT_MS;
    return { refused: refused * this.#stretch, silent: Math.min(silent, SILENT_MS) * this.#stretch };
  }

  /**
   * The other end may be searching too. If both changed addresses at the same times, they could miss each other again and again, so
   * turns vary in length after the first round.
   */
  #nextStretch(): number {
    return this.#changes < this.#addresses.length ? 1 : 0.75 + this.#random() / 2;
  }

  #isLookupDue(now: number, isDue: boolean): boolean {
    if (this.#isLookingUp) return false;
    const sinceLast = now - this.#lookedUpAt;
    if (isDue && this.#changes === 0 && this.#lookedUpAt < this.#quietSince) return true;
    const isQuiet = now - this.#quietSince >= IDLE_LOOKUP_INTERVAL_MS;
    return (isDue && sinceLast >= LOOKUP_INTERVAL_MS) || (isQuiet && sinceLast >= IDLE_LOOKUP_INTERVAL_MS);
  }

  async #lookUp(now: number): Promise<void> {
    this.#lookedUpAt = now;
    this.#isLookingUp = true;
    const quietSince = this.#quietSince;
    try {
      this.#addresses = await this.#resolve(this.#peer, this.#peer.local.address?.family ?? null);
      const isHeardMeanwhile = this.#quietSince !== quietSince && this.#changes === 0;
      if (isHeardMeanwhile) return;
      if (!this.#addresses.some((address) => isSame(address, this.#address))) {
        await this.#useFirstOf(this.#addresses);
      } else if (this.#problem !== null) {
        this.#report(null);
      }
    } catch (error) {
      // Known addresses are tried meanwhile. Without traffic this is not a problem yet.
      if (this.#unansweredSince !== null) this.#report(asTtunError(error));
    } finally {
      this.#isLookingUp = false;
    }
  }

  /** Changes to the address whose turn it is, if there is another. */
  async #tryNext(): Promise<void> {
    const others = this.#inTurn();
    if (others.length > 0) await this.#useFirstOf(others);
  }

  /** The other addresses in the order of their turns, with the proven one between any two. */
  #inTurn(): readonly IpAddress[] {
    const all = this.#addresses;
    const tried = all.findIndex((address) => isSame(address, this.#tried));
    const inOrder = [...all.slice(tried + 1), ...all.slice(0, tried + 1)];
    const others = inOrder.filter((address) => !isSame(address, this.#address));
    const proven = this.#proven;
    const isOther = proven !== null && others.some((address) => isSame(address, proven));
    return isOther ? [proven, ...others.filter((address) => !isSame(address, proven))] : others;
  }

  /** Changes to the first of `addresses` that can be used. If none can, the tunnel keeps its address. */
  async #useFirstOf(addresses: readonly IpAddress[]): Promise<void> {
    if (this.#isChanging) return;
    this.#isChanging = true;
    try {
      let problem: unknown = null;
      for (const address of addresses) {
        try {
          await this.#tunnel.setRemote({ address, port: this.#peer.port });
          this.#address = address;
          if (this.#proven === null || !isSame(address, this.#proven)) this.#tried = address;
          problem = null;
          break;
        } catch (error) {
          problem ??= error;
        }
      }
      this.#changes += 1;
      this.#stretch = this.#nextStretch();
      this.#startAgain(this.#now());
      this.#last = this.#tunnel.observe();
      this.#report(problem === null ? null : asTtunError(problem));
    } finally {
      this.#isChanging = false;
    }
  }

  #report(error: TtunError | null): void {
    const message = error?.message ?? null;
    if (message !== this.#problem) this.#tunnel.setPeerProblem(error);
    this.#problem = message;
  }
}

/** Replacements for the resolver, the clock and `Math.random`, in tests. */
export interface SearchFakes {
  readonly resolve?: typeof resolveName;
  readonly now?: () => number;
  readonly random?: () => number;
}

function isSame(one: IpAddress, other: IpAddress): boolean {
  return formatIpAddress(one) === formatIpAddress(other);
}
