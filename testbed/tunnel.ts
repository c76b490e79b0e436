/**
 * A tunnel end inside a site, through the public API or the command line.
 *
 *     await using a = await RemoteTunnel.open(sites.a, { device: 'tun0', local: …, remote: … });
 *     (await a.stats()).encap.packets
 */
import { fileURLToPath } from 'node:url';
import type { TtunError, TunnelChange, TunnelOptions, TunnelStats } from '../src/index.ts';
import type { RemoteEnd, TunnelAgent } from './agent.ts';
import type { BackgroundProcess, StartOptions } from './exec.ts';
import { Caller } from './messages.ts';
import type { As, Family, Site } from './site.ts';
import type { Sites } from './sites.ts';

/** A tunnel in its own process, in the namespace of a site. */
export class RemoteTunnel implements AsyncDisposable {
  readonly site: Site;
  readonly #agent: Caller<TunnelAgent>;

  private constructor(site: Site, agent: Caller<TunnelAgent>) {
    this.site = site;
    this.#agent = agent;
  }

  /** Rejects with a `RemoteError` that has the `code` and other fields of what `createTunnel` threw. */
  static async open(
    site: Site,
    options: TunnelOptions,
    as: As & Pick<StartOptions, 'env'> = {},
  ): Promise<RemoteTunnel> {
    const agent = new Caller<TunnelAgent>(site.startScript(new URL('agent.ts', import.meta.url), [], as));
    try {
      await agent.call('open', options);
    } catch (error) {
      await agent.process[Symbol.asyncDispose]();
      throw error;
    }
    return new RemoteTunnel(site, agent);
  }

  /** The process that holds the tunnel, to stop, kill or measure it. */
  get process(): BackgroundProcess {
    return this.#agent.process;
  }

  stats(): Promise<TunnelStats> {
    return this.#agent.call('stats', undefined);
  }

  /** The changes that it has noticed. */
  history(): Promise<TunnelChange[]> {
    return this.#agent.call('history', undefined);
  }

  /** Changes the peer to another address and port. */
  setRemote(remote: string): Promise<void> {
    return this.#agent.call('setRemote', remote);
  }

  /** Changes the rate to which datagrams are paced. */
  setRate(rate: string | number | null): Promise<void> {
    return this.#agent.call('setRate', rate);
  }

  /** The code of the open tunnel's problem; `null` when there is none. */
  problem(): Promise<TtunError['code'] | null> {
    return this.#agent.call('problem', undefined);
  }

  /** What the open tunnel's problem suggests. */
  hint(): Promise<string | null> {
    return this.#agent.call('hint', undefined);
  }

  async close(): Promise<void> {
    await this.#agent.call('close', undefined);
  }

  /** Resolves when the tunnel has ended, for any reason. */
  closed(timeoutMs?: number): Promise<RemoteEnd> {
    return this.#agent.call('closed', undefined, timeoutMs);
  }

  /** Ends the process, so that the tunnel must clean up on its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

export interface PairOptions {
  /** Family of the outer addresses. Default `ipv4`. */
  readonly outer?: Family;
  /** UDP port of both ends. Default 9000. */
  readonly port?: number;
  /** Further options of both tunnels. */
  readonly options?: Partial<TunnelOptions>;
  /** Further options of one end. */
  readonly onlyA?: Partial<TunnelOptions>;
  readonly onlyB?: Partial<TunnelOptions>;
  /** The user that both are run as. */
  readonly as?: As;
}

/** Opens both ends of a tunnel between the sites. */
export async function openPair(
  sites: Sites,
  { outer = 'ipv4', port = 9000, options = {}, onlyA = {}, onlyB = {}, as = {} }: PairOptions = {},
): Promise<readonly [a: RemoteTunnel, b: RemoteTunnel]> {
  const open = (near: Site, far: Site, only: Partial<TunnelOptions>): Promise<RemoteTunnel> =>
    RemoteTunnel.open(
      near,
      {
        device: near.tun,
        local: socketAddress(near.outer[outer], port),
        remote: socketAddress(far.outer[outer], port),
        ...options,
        ...only,
      },
      as,
    );
  return Promise.all([open(sites.a, sites.b, onlyA), open(sites.b, sites.a, onlyB)]);
}

/** `192.0.2.1:9000` or `[2001:db8::1]:9000` */
export function socketAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Starts the command-line program in a site: `startTtun(site, ['-q', 'tun0', …])`. It is the built one, in `dist`. */
export function startTtun(site: Site, args: readonly string[], as: As = {}): BackgroundProcess {
  return site.start([process.execPath, BIN, ...args], as);
}

/** The built command-line program. */
export const BIN: string = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
