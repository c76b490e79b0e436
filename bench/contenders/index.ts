/** Chooses the contenders. */
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OptionError } from '../options.ts';
import type { Options } from '../options.ts';
import { bare } from './bare.ts';
import type { Contender } from './contender.ts';
import { fastd } from './fastd.ts';
import { openvpn } from './openvpn.ts';
import { socat } from './socat.ts';
import { ttun, VARIANTS } from './ttun.ts';
import type { Variant } from './ttun.ts';
import { vxlan } from './vxlan.ts';
import { wireguardGo } from './wireguard-go.ts';

const THIS_CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export interface Field {
  readonly contenders: readonly Contender[];
  /** Names of those whose program is not installed. */
  readonly absent: readonly string[];
}

export async function chooseContenders({ only, quick, checkouts }: Options): Promise<Field> {
  const others = checkouts.flatMap(({ label, directory }) =>
    VARIANTS.filter(isForAllVersions).map((variant) => ttun(label, directory, variant)),
  );
  const extras = quick && only.length === 0 ? [] : [wireguardGo, openvpn, fastd];
  const ours = VARIANTS.map((variant) => ttun('ttun', THIS_CHECKOUT, variant));
  const known = [bare, vxlan, ...ours, ...others, socat, ...extras];
  const unknown = only.find((name) => known.every((contender) => contender.name !== name));
  if (unknown !== undefined) {
    throw new OptionError(`--only ${unknown}: must be among ${known.map(({ name }) => name).join(', ')}`);
  }
  const wanted = known.filter(({ name, onlyIfNamed = false }) =>
    only.length === 0 ? !onlyIfNamed : only.includes(name),
  );
  const there = await Promise.all(wanted.map(({ programs }) => allOnPath(programs)));
  return {
    contenders: wanted.filter((_, index) => there[index]),
    absent: wanted.filter((_, index) => !there[index]).map(({ name }) => name),
  };
}

/** Without options that older checkouts may not know. */
function isForAllVersions({ options, withoutQueue = false }: Variant): boolean {
  return options.length === 0 && !withoutQueue;
}

async function allOnPath(programs: readonly string[]): Promise<boolean> {
  return (await Promise.all(programs.map(isOnPath))).every(Boolean);
}

async function isOnPath(program: string): Promise<boolean> {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const found = directories.map(async (directory) => {
    await access(join(directory, program));
    return true;
  });
  return Promise.any(found).catch(() => false);
}
