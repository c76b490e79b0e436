/** The two `ttun up` processes, each with all tunnels of its site. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../../src/control/client.ts';
import type { TunnelStats } from '../../src/stats.ts';
import type { BackgroundProcess } from '../exec.ts';
import type { Site } from '../site.ts';
import { BIN, socketAddress } from '../tunnel.ts';
import { waitFor } from '../wait.ts';
import type { Network } from './network.ts';
import * as plan from './plan.ts';
import type { SiteName, Style, Tunnel } from './plan.ts';

/** Time for `ttun up` to start and attach everything. */
const START_LIMIT_MS = 30_000;

export class Ends implements AsyncDisposable {
  readonly #network: Network;
  readonly #folder: string;
  readonly #processes = new Map<SiteName, BackgroundProcess>();

  private constructor(network: Network, folder: string) {
    this.#network = network;
    this.#folder = folder;
  }

  static async start(network: Network): Promise<Ends> {
    const ends = new Ends(network, await mkdtemp(join(tmpdir(), 'ttun-weather-')));
    try {
      for (const name of plan.SITE_NAMES) {
        const config = { tunnels: Object.fromEntries(plan.TUNNELS.map((tunnel) => entry(name, tunnel))) };
        await writeFile(ends.config(name), JSON.stringify(config, null, 2), { mode: 0o600 });
      }
      await Promise.all(plan.SITE_NAMES.map((name) => ends.start(name)));
    } catch (error) {
      await ends[Symbol.asyncDispose]();
      throw error;
    }
    return ends;
  }

  config(name: SiteName): string {
    return join(this.#folder, `${name}.json`);
  }

  process(name: SiteName): BackgroundProcess {
    const running = this.#processes.get(name);
    if (running === undefined) throw new Error(`there is no ttun in site ${name}`);
    return running;
  }

  /** Starts the process of a site; resolves when those of its tunnels that can be opened now are. */
  async start(name: SiteName, wanted: readonly Tunnel[] = plan.TUNNELS): Promise<void> {
    const up = this.#network[name].start([process.execPath, BIN, 'up', '--json', '-c', this.config(name)]);
    this.#processes.set(name, up);
    const attached = wanted.map((tunnel) =>
      up.waitForLine(new RegExp(`"event":"attached".*"tunnel":"${plan.tunnelName(tunnel)}"`), {
        timeoutMs: START_LIMIT_MS,
      }),
    );
    await Promise.all(attached);
  }

  async reload(name: SiteName): Promise<void> {
    await using connection = await this.#connect(name);
    await connection.reload();
  }

  /** The statistics of the tunnels that are open, by number. */
  async stats(name: SiteName): Promise<ReadonlyMap<number, TunnelStats>> {
    await using connection = await this.#connect(name);
    const { tunnels } = await connection.show(10_000);
    const found = new Map<number, TunnelStats>();
    for (const tunnel of plan.TUNNELS) {
      const report = tunnels.find((each) => each.name === plan.tunnelName(tunnel));
      if (report?.stats) found.set(tunnel.number, report.stats);
    }
    return found;
  }

  /** Processor time that the process has used, in ms. */
  async processorMs(name: SiteName): Promise<number> {
    const stat = await readFile(`/proc/${this.process(name).pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime and stime, in ticks of USER_HZ, which is 100.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes.values()].map((each) => each[Symbol.asyncDispose]()));
    await rm(this.#folder, { recursive: true });
  }

  async #connect(name: SiteName): Promise<Connection> {
    const { pid } = this.process(name);
    return waitFor(`the control socket of ttun in site ${name}`, () =>
      Connection.open(join('/run/ttun', `${pid}.sock`)),
    );
  }
}

/** The present name of a tunnel's device, from its index: another program may have renamed it. */
export async function currentDevice(site: Site, ends: Ends, name: SiteName, tunnel: Tunnel): Promise<string> {
  return waitFor(`the device of tunnel ${tunnel.number} in site ${name}`, async () => {
    const index = (await ends.stats(name)).get(tunnel.number)?.device.index;
    return index === undefined || index === 0 ? null : (await deviceNames(site)).get(index);
  });
}

/** By index. */
export async function deviceNames(site: Site): Promise<ReadonlyMap<number, string>> {
  const lines = (await site.ip('-oneline', 'link', 'show')).split('\n');
  const found = lines.map((line) => /^(\d+): ([^:@]+)[:@]/.exec(line)).filter((match) => match !== null);
  return new Map(found.map(([, index, name = '']) => [Number(index), name]));
}

function entry(name: SiteName, tunnel: Tunnel): [string, Record<string, unknown>] {
  const far = plan.other(name);
  const port = plan.tunnelPort(tunnel);
  const fixed = tunnel.style === 'fixed' ? plan.fixedAddress(name, tunnel.outer) : null;
  const remotes: Readonly<Record<Style, string>> = {
    auto: plan.publicAddress(far, tunnel.outer),
    fixed: plan.publicAddress(far, tunnel.outer),
    bound: plan.publicAddress(far, tunnel.outer),
    zone: `${plan.lanAddress(far)}%${plan.LAN}`,
    named: plan.hostName(far),
  };
  const options = {
    device: plan.tunDevice(tunnel),
    local: fixed === null ? `:${port}` : socketAddress(fixed, port),
    remote: socketAddress(remotes[tunnel.style], port),
    ...(tunnel.style === 'bound' ? { bindDevice: plan.uplinkDevice(0) } : {}),
    interface: {
      create: true,
      addresses: plan.FAMILIES.map((family) => {
        const length = family === 'ipv4' ? 24 : 64;
        return `${plan.innerAddress(name, tunnel.number, family, 'connected')}/${length}`;
      }),
      routes: plan.FAMILIES.map((family) => plan.routedNetwork(far, tunnel.number, family)),
      mtu: 'auto',
    },
  };
  return [plan.tunnelName(tunnel), options];
}
