/** Changes of the uplinks themselves. */
import type { Kind } from './changes.ts';
import { isUsable } from './model.ts';
import * as network from './network.ts';
import { eachPlace, linkLost, placeOf, toSite } from './place.ts';
import * as plan from './plan.ts';

const LINK_MTUS = [1500, 1460, 1400, 1340] as const;

export const LINK_CHANGES: readonly Kind[] = [
  {
    name: 'link-down',
    weight: 3,
    options: (model) => eachPlace(model, ({ uplink }) => isUsable(uplink)),
    async apply(scene, args) {
      const place = placeOf(scene, args);
      place.uplink.up = false;
      await scene.network[place.site].ip('link', 'set', plan.uplinkDevice(place.number), 'down');
      linkLost(scene.model, place);
    },
  },
  {
    name: 'link-up',
    weight: 9,
    options: (model) => eachPlace(model, ({ uplink }) => uplink.exists && !uplink.up),
    async apply(scene, args) {
      const { site, number, uplink } = placeOf(scene, args);
      uplink.up = true;
      await scene.network[site].ipBatch(...network.configureUplink(scene.model, site, number));
    },
  },
  {
    name: 'link-bounced',
    weight: 4,
    options: (model) => eachPlace(model, ({ uplink }) => isUsable(uplink)),
    async apply(scene, args) {
      const place = placeOf(scene, args);
      const { site, number } = place;
      linkLost(scene.model, place);
      const down = `link set ${plan.uplinkDevice(number)} down`;
      await scene.network[site].ipBatch(down, ...network.configureUplink(scene.model, site, number));
    },
  },
  {
    name: 'carrier-lost',
    weight: 2,
    options: (model) => eachPlace(model, ({ uplink }) => isUsable(uplink)),
    async apply(scene, args) {
      const { site, number, uplink } = placeOf(scene, args);
      uplink.carrier = false;
      await scene.network.router.ip('link', 'set', plan.routerDevice(site, number), 'down');
    },
  },
  {
    name: 'carrier-back',
    weight: 9,
    options: (model) => eachPlace(model, ({ uplink }) => uplink.exists && !uplink.carrier),
    async apply(scene, args) {
      const { site, number, uplink } = placeOf(scene, args);
      uplink.carrier = true;
      await scene.network.raiseRouterEnd(site, number);
    },
  },
  {
    name: 'link-deleted',
    weight: 2,
    options: (model) => eachPlace(model, ({ uplink }) => isUsable(uplink)),
    async apply(scene, args) {
      const place = placeOf(scene, args);
      place.uplink.exists = false;
      await scene.network[place.site].ip('link', 'delete', plan.uplinkDevice(place.number));
      linkLost(scene.model, place);
    },
  },
  {
    name: 'link-back',
    weight: 9,
    options: (model) => eachPlace(model, ({ uplink }) => !uplink.exists),
    async apply(scene, args) {
      const { site, number, uplink } = placeOf(scene, args);
      uplink.exists = true;
      await scene.network.makeUplink(scene.model, site, number);
    },
  },
  {
    name: 'link-remade',
    weight: 4,
    options: (model) => eachPlace(model, ({ uplink }) => isUsable(uplink)),
    async apply(scene, args) {
      const place = placeOf(scene, args);
      await scene.network[place.site].ip('link', 'delete', plan.uplinkDevice(place.number));
      linkLost(scene.model, place);
      await scene.network.makeUplink(scene.model, place.site, place.number);
    },
  },
  {
    name: 'link-mtu',
    weight: 4,
    options: (model, random) =>
      eachPlace(model, ({ uplink }) => isUsable(uplink)).map(([site, number]) => [
        site,
        number,
        `${random.pick(LINK_MTUS)}`,
      ]),
    async apply(scene, args) {
      const { site, number, uplink } = placeOf(scene, args);
      uplink.mtu = Number(args[2]);
      await scene.network.router.ip('link', 'set', plan.routerDevice(site, number), 'mtu', `${uplink.mtu}`);
      await scene.network[site].ip('link', 'set', plan.uplinkDevice(number), 'mtu', `${uplink.mtu}`);
    },
  },
  {
    name: 'everything-flushed',
    weight: 3,
    options: (model) =>
      plan.SITE_NAMES.filter((site) => model.sites[site].uplinks.every(isUsable)).map((site) => [site]),
    async apply(scene, [name]) {
      const site = toSite(name);
      const lines = plan.UPLINKS.flatMap((number) => {
        const { uplinks } = scene.model.sites[site];
        const place = { site, number, uplink: uplinks[number] };
        linkLost(scene.model, place);
        return network.configureUplink(scene.model, site, number);
      });
      for (const number of plan.UPLINKS) {
        const device = plan.uplinkDevice(number);
        await scene.network[site].ip('-4', 'route', 'flush', 'dev', device);
        await scene.network[site].ip('address', 'flush', 'dev', device);
        await scene.network[site].ip('-6', 'route', 'flush', 'dev', device);
      }
      // It may not exist.
      const table = ['route', 'flush', 'table', `${network.RULE_TABLE}`];
      for (const family of ['-4', '-6']) await scene.network[site].runToEnd(['ip', family, ...table]);
      await scene.network[site].ipBatch(...lines);
    },
  },
  {
    name: 'neighbours-flushed',
    weight: 1,
    options: () => plan.SITE_NAMES.map((site) => [site]),
    async apply(scene, [name]) {
      await scene.network[toSite(name)].ip('neighbour', 'flush', 'all');
      await scene.network.router.ip('neighbour', 'flush', 'all');
    },
  },
];
