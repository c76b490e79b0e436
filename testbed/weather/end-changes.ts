/** Changes of the tunnels' ends: their devices, their processes, and the link with link-local addresses. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pause } from '../paused.ts';
import type { Effect, Kind, Scene } from './changes.ts';
import { currentDevice } from './ends.ts';
import { isUsable, loseRoutes, pathOf } from './model.ts';
import type { Model } from './model.ts';
import { configureUplink, RULE_TABLE } from './network.ts';
import * as plan from './plan.ts';
import type { SiteName, Tunnel } from './plan.ts';
import { linkLost, toSite } from './place.ts';

/** How long nothing can move while CPU usage is measured. */
const DEAD_MS = 4000;
/** The time before that in which all effects of the change take place. */
const SETTLE_MS = 1500;
const DEVICE_MTUS = [1280, 1300, 1400, 1500, 9000] as const;

export const END_CHANGES: readonly Kind[] = [
  {
    name: 'device-flushed',
    weight: 4,
    options: (model) =>
      eachDevice(model).flatMap(([site, number]) =>
        ['addresses', 'routes', 'all'].map((what) => [site, number, what]),
      ),
    async apply(scene, args) {
      const { site, name } = await deviceOf(scene, args);
      const what = args[2];
      if (what !== 'addresses') {
        await scene.network[site].ip('-4', 'route', 'flush', 'dev', name);
        await scene.network[site].ip('-6', 'route', 'flush', 'dev', name);
      }
      if (what !== 'routes') await scene.network[site].ip('address', 'flush', 'dev', name);
    },
  },
  {
    name: 'device-bounced',
    weight: 4,
    options: eachDevice,
    async apply(scene, args) {
      const { site, name } = await deviceOf(scene, args);
      await scene.network[site].ipBatch(`link set ${name} down`, `link set ${name} up`);
    },
  },
  {
    name: 'device-down',
    weight: 2,
    options: eachDevice,
    async apply(scene, args) {
      const { site, tunnel, name } = await deviceOf(scene, args);
      scene.model.sites[site].tunDown.add(tunnel.number);
      await scene.network[site].ip('link', 'set', name, 'down');
    },
  },
  {
    name: 'device-up',
    weight: 9,
    options: (model) =>
      plan.SITE_NAMES.flatMap((site) => [...model.sites[site].tunDown].map((number) => [site, `${number}`])),
    async apply(scene, args) {
      const { site, tunnel, name } = await deviceOf(scene, args);
      scene.model.sites[site].tunDown.delete(tunnel.number);
      await scene.network[site].ip('link', 'set', name, 'up');
    },
  },
  {
    name: 'device-mtu',
    weight: 2,
    options: (model, random) =>
      eachDevice(model).map(([site, number]) => [site, number, `${random.pick(DEVICE_MTUS)}`]),
    async apply(scene, args) {
      const { site, name } = await deviceOf(scene, args);
      await scene.network[site].ip('link', 'set', name, 'mtu', args[2] ?? '');
    },
  },
  {
    name: 'device-renamed',
    weight: 2,
    options: eachDevice,
    async apply(scene, args) {
      const { site, tunnel, name } = await deviceOf(scene, args);
      const own = plan.tunDevice(tunnel);
      const other = name === own ? `moved${tunnel.number}` : own;
      await scene.network[site].ipBatch(
        `link set ${name} down`,
        `link set ${name} name ${other}`,
        `link set ${other} up`,
      );
    },
  },
  {
    name: 'device-deleted',
    weight: 3,
    options: eachDevice,
    async apply(scene, args): Promise<Effect> {
      const { site, tunnel, name } = await deviceOf(scene, args);
      await scene.network[site].ip('link', 'delete', name);
      return { restarted: [tunnel.number] };
    },
  },
  {
    name: 'lan-remade',
    weight: 2,
    options: ({ lan, sites }) => (lan && plan.SITE_NAMES.every((site) => sites[site].lanUp) ? [[]] : []),
    async apply(scene) {
      await scene.network.a.ip('link', 'delete', plan.LAN);
      for (const site of plan.SITE_NAMES) scene.model.sites[site].lanAddress = true;
      await scene.network.makeLan();
    },
  },
  {
    name: 'lan-deleted',
    weight: 1,
    options: ({ lan }) => (lan ? [[]] : []),
    async apply({ network: { a }, model }) {
      model.lan = false;
      await a.ip('link', 'delete', plan.LAN);
    },
  },
  {
    name: 'lan-back',
    weight: 6,
    options: ({ lan }) => (lan ? [] : [[]]),
    async apply(scene) {
      scene.model.lan = true;
      for (const site of plan.SITE_NAMES) {
        scene.model.sites[site].lanUp = true;
        scene.model.sites[site].lanAddress = true;
      }
      await scene.network.makeLan();
    },
  },
  {
    name: 'lan-down',
    weight: 1,
    options: ({ lan, sites }) =>
      plan.SITE_NAMES.filter((site) => lan && sites[site].lanUp).map((site) => [site]),
    async apply(scene, [name]) {
      const site = toSite(name);
      scene.model.sites[site].lanUp = false;
      await scene.network[site].ip('link', 'set', plan.LAN, 'down');
    },
  },
  {
    name: 'lan-up',
    weight: 6,
    options: ({ lan, sites }) =>
      plan.SITE_NAMES.filter((site) => lan && !sites[site].lanUp).map((site) => [site]),
    async apply(scene, [name]) {
      const site = toSite(name);
      scene.model.sites[site].lanUp = true;
      scene.model.sites[site].lanAddress = true;
      await scene.network.raiseLan(site);
    },
  },
  {
    name: 'lan-address-removed',
    weight: 1,
    options: ({ lan, sites }) =>
      plan.SITE_NAMES.filter((site) => lan && sites[site].lanUp && sites[site].lanAddress).map((site) => [
        site,
      ]),
    async apply(scene, [name]) {
      const site = toSite(name);
      scene.model.sites[site].lanAddress = false;
      await scene.network[site].ip('address', 'delete', `${plan.lanAddress(site)}/64`, 'dev', plan.LAN);
    },
  },
  {
    name: 'lan-address-back',
    weight: 6,
    options: ({ lan, sites }) =>
      plan.SITE_NAMES.filter((site) => lan && sites[site].lanUp && !sites[site].lanAddress).map((site) => [
        site,
      ]),
    async apply(scene, [name]) {
      const site = toSite(name);
      scene.model.sites[site].lanAddress = true;
      await scene.network.raiseLan(site);
    },
  },
  {
    name: 'process-restarted',
    weight: 2,
    options: () => plan.SITE_NAMES.flatMap((site) => ['SIGTERM', 'SIGKILL'].map((signal) => [site, signal])),
    async apply(scene, [name, signal]): Promise<Effect> {
      await restart(scene, toSite(name), signal === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM');
      return { restarted: plan.TUNNELS.map(({ number }) => number) };
    },
  },
  {
    name: 'process-stopped',
    weight: 1,
    options: () => plan.SITE_NAMES.map((site) => [site]),
    async apply({ ends }, [name]) {
      const stopped = ends.process(toSite(name));
      await pause(stopped);
      await sleep(1000);
      stopped.kill('SIGCONT');
    },
  },
  {
    name: 'reloaded',
    weight: 1,
    options: () => plan.SITE_NAMES.map((site) => [site]),
    apply: ({ ends }, [name]) => ends.reload(toSite(name)),
  },
  {
    name: 'dead',
    weight: 2,
    options: (model) =>
      plan.SITE_NAMES.filter((site) => model.sites[site].uplinks.every(isUsable) && model.lan).flatMap(
        (site) => ['links', 'routes', 'carriers'].map((what) => [site, what]),
      ),
    async apply(scene, [name, what]): Promise<Effect> {
      const site = toSite(name);
      await cutOff(scene, site, what);
      await sleep(SETTLE_MS);
      const busy = await measureBusy(scene, DEAD_MS);
      await reconnect(scene, site);
      return { busy };
    },
  },
];

/** Ends the processes of both sites and starts them again. */
export async function restartAll(scene: Scene): Promise<Effect> {
  await Promise.all(plan.SITE_NAMES.map((site) => restart(scene, site, 'SIGTERM')));
  return { restarted: plan.TUNNELS.map(({ number }) => number) };
}

async function restart({ ends, model }: Scene, site: SiteName, signal: NodeJS.Signals): Promise<void> {
  await ends.process(site).stop(signal, 10_000);
  // The new devices are up.
  model.sites[site].tunDown.clear();
  await ends.start(
    site,
    plan.TUNNELS.filter((tunnel) => pathOf(model, tunnel) === 'works'),
  );
}

/** A tunnel's device, which may have been renamed. */
async function deviceOf(
  { network: { a, b }, ends }: Scene,
  [name, number]: readonly string[],
): Promise<{ site: SiteName; tunnel: Tunnel; name: string }> {
  const site = toSite(name);
  const tunnel = plan.TUNNELS.find((each) => `${each.number}` === number);
  if (tunnel === undefined) throw new Error(`there is no tunnel ${number}`);
  const device = await currentDevice(site === 'a' ? a : b, ends, site, tunnel);
  return { site, tunnel, name: device };
}

/** Those that are certainly there: a tunnel without a path cannot be opened. */
function eachDevice(model: Model): [string, string][] {
  const open = plan.TUNNELS.filter((tunnel) => pathOf(model, tunnel) === 'works');
  return plan.SITE_NAMES.flatMap((site) => open.map(({ number }): [string, string] => [site, `${number}`]));
}

/** Makes every path from a site dead. */
async function cutOff(scene: Scene, name: SiteName, what: string | undefined): Promise<void> {
  const site = scene.network[name];
  await site.ip('link', 'set', plan.LAN, 'down');
  for (const number of plan.UPLINKS) {
    const device = plan.uplinkDevice(number);
    if (what === 'carriers') {
      await scene.network.router.ip('link', 'set', plan.routerDevice(name, number), 'down');
    } else if (what === 'routes') {
      for (const family of ['-4', '-6']) {
        for (const table of ['main', `${RULE_TABLE}`]) {
          // A table may not exist.
          await site.runToEnd([
            'ip',
            family,
            'route',
            'flush',
            'table',
            table,
            'exact',
            'default',
            'dev',
            device,
          ]);
        }
      }
    } else {
      await site.ip('link', 'set', device, 'down');
    }
    const { [name]: state } = scene.model.sites;
    if (what === 'links') linkLost(scene.model, { site: name, number, uplink: state.uplinks[number] });
    if (what === 'routes') for (const family of plan.FAMILIES) loseRoutes(state, number, family);
  }
}

async function reconnect(scene: Scene, name: SiteName): Promise<void> {
  for (const number of plan.UPLINKS) {
    await scene.network.raiseRouterEnd(name, number);
    await scene.network[name].ipBatch(...configureUplink(scene.model, name, number));
  }
  await scene.network.raiseLan(name);
  const state = scene.model.sites[name];
  state.lanUp = true;
  state.lanAddress = true;
}

/** The CPU usage of the busier of the two processes, as a fraction of one processor. */
async function measureBusy({ ends }: Scene, forMs: number): Promise<number> {
  const used = (): Promise<number[]> => Promise.all(plan.SITE_NAMES.map((name) => ends.processorMs(name)));
  const [start, before] = [performance.now(), await used()];
  await sleep(forMs);
  const after = await used();
  const elapsed = performance.now() - start;
  return Math.max(...after.map((ms, index) => (ms - (before[index] ?? 0)) / elapsed));
}
