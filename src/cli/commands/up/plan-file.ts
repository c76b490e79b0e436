/** The configuration file of `ttun up`, of which a part may be asked for. */
import { resolve } from 'node:path';
import { formatProblem } from '../../../config/config-error.ts';
import { findConfigFile } from '../../../config/find.ts';
import { loadConfig } from '../../../config/load.ts';
import type { Plan } from '../../../service/plan.ts';
import { suggest } from '../../../suggestion.ts';
import { say } from '../../talk.ts';
import { UsageError } from '../../usage-error.ts';

/** What the command line says of the file. */
export interface Choice {
  /** Path of the file; absent: the one in the working directory. */
  readonly config?: string;
  /** Where HTTP is served, in place of what the file says. */
  readonly http?: string;
  /** The tunnels that are asked for; all when empty. */
  readonly names: readonly string[];
}

export class PlanFile {
  readonly path: string;
  readonly #choice: Choice;

  /** @throws TtunError when it is not clear which file is meant */
  constructor(choice: Choice) {
    this.path = resolve(findConfigFile(choice.config));
    this.#choice = choice;
  }

  /** @throws UsageError when a tunnel was asked for that is not in the file */
  async loadFirst(): Promise<Plan> {
    const plan = await load(this.path);
    for (const name of this.#choice.names) if (!plan.tunnels.has(name)) throw unknownTunnel(name, plan);
    return this.#part(plan);
  }

  /** As it is now. A tunnel that was asked for and is no longer in the file has been removed. */
  async load(): Promise<Plan> {
    return this.#part(await load(this.path));
  }

  #part(plan: Plan): Plan {
    const { http, names } = this.#choice;
    const chosen = [...plan.tunnels].filter(([name]) => names.length === 0 || names.includes(name));
    return { listen: http ?? plan.listen, tunnels: new Map(chosen) };
  }
}

/** Warnings are said each time: they are about the file as it is now. */
async function load(path: string): Promise<Plan> {
  const { http, tunnels, warnings } = await loadConfig(path);
  for (const warning of warnings) say(formatProblem(warning, 'warning'));
  return { listen: http?.listen ?? null, tunnels };
}

function unknownTunnel(name: string, { tunnels }: Plan): UsageError {
  const names = [...tunnels.keys()];
  const meant = suggest(name, names);
  const question = meant === null ? '' : `; did you mean ${meant}?`;
  return new UsageError(`there is no tunnel ${name} in the file, which has ${names.join(', ')}${question}`);
}
