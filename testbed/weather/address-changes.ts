/** Changes of addresses, routes and rules of the uplinks. */
import type { Family } from '../site.ts';
import type { Kind } from './changes.ts';
import { hasAddress, isUsable, loseRoutes, sendingUplink } from './model.ts';
import type { Model, UplinkFamily } from './model.ts';
import * as network from './network.ts';
import { eachFamily, parsePlace, toFamily, toSite } from './place.ts';
import type { Place } from './place.ts';
import * as plan from './plan.ts';
import type { Random } from './random.ts';

/** Between the metrics of default routes. */
const METRIC_STEP = 10;

export const ADDRESS_CHANGES: readonly Kind[] = [
  {
    name: 'address-replaced',
    weight: 6,
    options: (model, random) =>
      eachFamily(model, ({ uplink }, family) => isUsable(uplink) && uplink[family].host !== null).map(
        ([site, number, family]) => [
          site,
          number,
          family,
          newHost(random),
          random.next() < 0.5 ? 'add-first' : 'delete-first',
        ],
      ),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number, uplink } = place;
      const state = uplink[family];
      const { metric } = state;
      const [host, order] = [unused(state, Number(args[3])), args[4]];
      const remove = state.host === null ? [] : [network.deleteAddress(site, number, family, state.host)];
      state.host = null;
      if (order !== 'add-first') lastAddressGone(scene.model, place, family);
      state.host = host;
      state.metric = metric;
      const add = network.addAddress(site, number, family, host);
      const lines = order === 'add-first' ? [add, ...remove] : [...remove, add];
      await scene.network[site].ipBatch(...lines, ...network.configureFamily(site, number, family, uplink));
    },
  },
  {
    name: 'address-removed',
    weight: 3,
    options: (model) =>
      eachFamily(model, ({ uplink }, family) => isUsable(uplink) && uplink[family].host !== null),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number, uplink } = place;
      const state = uplink[family];
      const lines = state.host === null ? [] : [network.deleteAddress(site, number, family, state.host)];
      state.host = null;
      await scene.network[site].ipBatch(...lines);
      lastAddressGone(scene.model, place, family);
    },
  },
  {
    name: 'address-back',
    weight: 9,
    options: (model, random) =>
      eachFamily(
        model,
        ({ uplink }, family) =>
          isUsable(uplink) && (uplink[family].host === null || uplink[family].metric === null),
      ).map(([site, number, family]) => [site, number, family, random.next() < 0.5 ? '1' : newHost(random)]),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const state = place.uplink[family];
      state.host ??= unused(state, Number(args[3]));
      state.metric ??= freeMetric(scene.model, place, family);
      const lines = network.configureFamily(place.site, place.number, family, place.uplink);
      await scene.network[place.site].ipBatch(...lines);
    },
  },
  {
    name: 'address-deprecated',
    weight: 4,
    options: (model, random) =>
      eachFamily(
        model,
        ({ uplink }, family) => family === 'ipv6' && isUsable(uplink) && uplink[family].host !== null,
      ).map(([site, number, family]) => [site, number, family, newHost(random)]),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number, uplink } = place;
      const state = uplink[family];
      const host = unused(state, Number(args[3]));
      const lines = [network.addAddress(site, number, family, host)];
      if (state.host !== null) {
        const old = network.withLength(site, number, family, state.host);
        lines.push(
          `address change ${old} dev ${plan.uplinkDevice(number)} preferred_lft 0 valid_lft forever`,
        );
        state.deprecated.add(state.host);
      }
      state.host = host;
      await scene.network[site].ipBatch(...lines);
    },
  },
  {
    name: 'deprecated-removed',
    weight: 4,
    options: (model) =>
      eachFamily(model, ({ uplink }, family) => isUsable(uplink) && uplink[family].deprecated.size > 0),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number, uplink } = place;
      const { deprecated } = uplink[family];
      const lines = [...deprecated].map((host) => network.deleteAddress(site, number, family, host));
      deprecated.clear();
      await scene.network[site].ipBatch(...lines);
    },
  },
  {
    name: 'fixed-address-removed',
    weight: 2,
    options: (model) =>
      eachFamily(
        model,
        ({ number, uplink }, family) => number === 0 && isUsable(uplink) && uplink[family].fixed,
      ),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      place.uplink[family].fixed = false;
      const address = `${plan.fixedAddress(place.site, family)}/${family === 'ipv4' ? 32 : 128}`;
      await scene.network[place.site].ipBatch(`address delete ${address} dev up0`);
      lastAddressGone(scene.model, place, family);
    },
  },
  {
    name: 'fixed-address-back',
    weight: 6,
    options: (model) =>
      eachFamily(
        model,
        ({ number, uplink }, family) => number === 0 && isUsable(uplink) && !uplink[family].fixed,
      ),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      place.uplink[family].fixed = true;
      await scene.network[place.site].ipBatch(network.addFixed(place.site, family));
    },
  },
  {
    name: 'default-moved',
    weight: 6,
    options: (model) =>
      eachFamily(model, ({ site, number, uplink }, family) => {
        const preferred = sendingUplink(model.sites[site], family);
        const { host, metric } = uplink[family];
        return isUsable(uplink) && host !== null && metric !== null && preferred !== number;
      }),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number, uplink } = place;
      const old = uplink[family].metric;
      const lowest = Math.min(
        ...scene.model.sites[site].uplinks.map((each) => each[family].metric ?? Infinity),
      );
      const metric = lowest - METRIC_STEP;
      uplink[family].metric = metric;
      await scene.network[site].ipBatch(
        network.addDefault(site, number, family, metric),
        ...(old === null ? [] : [network.deleteDefault(number, family, old)]),
      );
    },
  },
  {
    name: 'default-removed',
    weight: 3,
    options: (model) =>
      eachFamily(model, ({ uplink }, family) => isUsable(uplink) && uplink[family].metric !== null),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const state = place.uplink[family];
      const lines = state.metric === null ? [] : [network.deleteDefault(place.number, family, state.metric)];
      state.metric = null;
      await scene.network[place.site].ipBatch(...lines);
    },
  },
  {
    name: 'rule-added',
    weight: 4,
    options: (model) =>
      eachFamily(
        model,
        ({ site, uplink }, family) =>
          isUsable(uplink) && uplink[family].host !== null && model.sites[site].rule[family] === null,
      ),
    async apply(scene, args) {
      const { place, family } = parsePlace(scene, args);
      const { site, number } = place;
      const inTable = network.addDefault(site, number, family, 1000, ` table ${network.RULE_TABLE}`);
      await scene.network[site].ipBatch(inTable);
      await scene.network[site].ip(...ruleCommand('add', family));
      scene.model.sites[site].rule[family] = { uplink: number, route: true };
    },
  },
  {
    name: 'rule-removed',
    weight: 5,
    options: (model) => {
      const ruled = plan.SITE_NAMES.flatMap((site) => plan.FAMILIES.map((family) => [site, family] as const));
      return ruled.filter(([site, family]) => model.sites[site].rule[family] !== null);
    },
    async apply(scene, [name, which]) {
      const [site, family] = [toSite(name), toFamily(which)];
      await scene.network[site].ip(...ruleCommand('delete', family));
      const version = family === 'ipv4' ? '-4' : '-6';
      await scene.network[site].ip(version, 'route', 'flush', 'table', `${network.RULE_TABLE}`);
      scene.model.sites[site].rule[family] = null;
    },
  },
];

function newHost(random: Random): string {
  return `${random.integer(2, 199)}`;
}

/** A number that no address of the uplink has: the proposed one, or one after it. */
function unused({ host, deprecated }: UplinkFamily, proposed: number): number {
  let number = proposed;
  while (number === host || deprecated.has(number)) number = (number % 199) + 1;
  return number;
}

/** Metric of a default route that comes back: the other uplink's stays preferred, or not. */
function freeMetric({ sites }: Model, { site, number }: Place, family: Family): number {
  const taken = sites[site].uplinks[number === 0 ? 1 : 0][family].metric ?? 0;
  return taken + 2 * METRIC_STEP + number;
}

/** The kernel disables IPv4 on an interface without addresses, which removes its routes. */
function lastAddressGone(model: Model, { site, number, uplink }: Place, family: Family): void {
  if (family === 'ipv6' || hasAddress(uplink, family)) return;
  uplink[family].metric = null;
  loseRoutes(model.sites[site], number, family);
}

function ruleCommand(action: 'add' | 'delete', family: Family): string[] {
  const where = ['to', plan.PUBLIC_NETWORKS[family], 'lookup', `${network.RULE_TABLE}`, 'priority', '1000'];
  return [family === 'ipv4' ? '-4' : '-6', 'rule', action, ...where];
}
