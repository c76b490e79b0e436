/** The uplinks that changes are about, and the arguments that name them. */
import type { Family } from '../site.ts';
import type { Scene } from './changes.ts';
import { loseRoutes } from './model.ts';
import type { Model, Uplink } from './model.ts';
import * as plan from './plan.ts';
import type { SiteName, UplinkNumber } from './plan.ts';

export interface Place {
  readonly site: SiteName;
  readonly number: UplinkNumber;
  readonly uplink: Uplink;
}

export function placeOf({ model }: Scene, [site, number]: readonly string[]): Place {
  const [name, which] = [toSite(site), toUplink(number)];
  return { site: name, number: which, uplink: model.sites[name].uplinks[which] };
}

/** The uplink and the family that the first three arguments name. */
export function parsePlace(scene: Scene, args: readonly string[]): { place: Place; family: Family } {
  return { place: placeOf(scene, args), family: toFamily(args[2]) };
}

/** The arguments of all uplinks for which a change is possible. */
export function eachPlace(model: Model, isPossible: (place: Place) => boolean): [string, string][] {
  return plan.SITE_NAMES.flatMap((site) =>
    plan.UPLINKS.filter((number) =>
      isPossible({ site, number, uplink: model.sites[site].uplinks[number] }),
    ).map((number): [string, string] => [site, `${number}`]),
  );
}

export function eachFamily(
  model: Model,
  isPossible: (place: Place, family: Family) => boolean,
): [string, string, string][] {
  return plan.FAMILIES.flatMap((family) =>
    eachPlace(model, (place) => isPossible(place, family)).map(([site, number]): [string, string, string] => [
      site,
      number,
      family,
    ]),
  );
}

export function toSite(text: string | undefined): SiteName {
  if (text === 'a' || text === 'b') return text;
  throw new Error(`'${text}' is not a site`);
}

function toUplink(text: string | undefined): UplinkNumber {
  if (text === '0') return 0;
  if (text === '1') return 1;
  throw new Error(`'${text}' is not an uplink`);
}

export function toFamily(text: string | undefined): Family {
  if (text === 'ipv4' || text === 'ipv6') return text;
  throw new Error(`'${text}' is not a family`);
}

/** In the model, after the link was down: routes and deprecated addresses do not come back by themselves. */
export function linkLost(model: Model, { site, number, uplink }: Place): void {
  for (const family of plan.FAMILIES) {
    uplink[family].deprecated.clear();
    loseRoutes(model.sites[site], number, family);
  }
}
