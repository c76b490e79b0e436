/** The tunnels that are watched, as they come, change and go. */
import type { Survey } from '../../../../control/client.ts';
import type { ProcessReport } from '../../../../control/protocol.ts';
import type { TunnelReport } from '../../../../service/host.ts';
import { runningTunnels } from '../../../running.ts';
import type { RunningTunnel } from '../../../running.ts';
import { History } from './history.ts';

export interface Watched {
  /** Its name, with what tells it from others of that name. */
  readonly label: string;
  readonly report: TunnelReport;
  readonly history: History;
  /** Its process gave no answer this time, so this is what it said last. */
  readonly isSilent: boolean;
}

export class WatchedTunnels {
  readonly #names: readonly string[];
  /** Inode of the network namespace of who watches. */
  readonly #namespace: number;
  #known = new Map<string, { readonly tunnel: RunningTunnel; readonly history: History }>();

  /** @param names only tunnels with these; all when there are none */
  constructor(names: readonly string[], namespace: number) {
    this.#names = names;
    this.#namespace = namespace;
  }

  /** @param now in ms of a clock that only goes forward */
  update(survey: Survey, now: number): Watched[] {
    const silent = new Set(survey.silent.map(({ path }) => path));
    const left = [...this.#known.values()].map(({ tunnel }) => tunnel).filter(({ path }) => silent.has(path));
    const tunnels = [...runningTunnels(survey), ...left].filter(({ report }) => this.#isWanted(report));
    const histories = tunnels.map((tunnel) => this.#known.get(keyOf(tunnel))?.history ?? new History());
    this.#known = new Map(
      tunnels.map((tunnel, index) => [keyOf(tunnel), { tunnel, history: histories[index] ?? new History() }]),
    );
    return [...this.#known.values()].map(({ tunnel, history }) => {
      const isSilent = silent.has(tunnel.path);
      history.add(isSilent ? null : tunnel.report.stats, now);
      return { label: this.#labelOf(tunnel, tunnels), report: tunnel.report, history, isSilent };
    });
  }

  #isWanted({ name }: TunnelReport): boolean {
    return this.#names.length === 0 || this.#names.includes(name);
  }

  #labelOf({ report: { name }, process }: RunningTunnel, all: readonly RunningTunnel[]): string {
    const { inode, name: namespace } = process.networkNamespace;
    const namesakes = all.filter((other) => other.report.name === name);
    if (inode !== this.#namespace && namespace !== null && areApart(namesakes, inode)) {
      return `${name} (${namespace})`;
    }
    return namesakes.length > 1 ? `${name} (${process.pid})` : name;
  }
}

/** Whether just one of them is in that network namespace. */
function areApart(tunnels: readonly { readonly process: ProcessReport }[], namespace: number): boolean {
  return tunnels.filter(({ process }) => process.networkNamespace.inode === namespace).length === 1;
}

/** The socket's path names the process. */
function keyOf({ path, report }: RunningTunnel): string {
  return `${path} ${report.name}`;
}
