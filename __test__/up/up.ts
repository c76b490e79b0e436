/** `ttun up` in a site, with a configuration file that the test writes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackgroundProcess, RunResult } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';

export type Table = Readonly<Record<string, unknown>>;

export interface ConfigTables {
  readonly http?: Table;
  /** By name. */
  readonly tunnels: Readonly<Record<string, Table>>;
}

/** A directory for the configuration and the control sockets of one test. */
export class UpFolder implements AsyncDisposable {
  readonly directory: string;
  readonly config: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.config = join(directory, 'ttun.toml');
  }

  static async create(config: ConfigTables): Promise<UpFolder> {
    const folder = new UpFolder(await mkdtemp(join(tmpdir(), 'ttun-up-')));
    await folder.write(config);
    return folder;
  }

  async write(config: ConfigTables): Promise<void> {
    await this.writeText(toToml(config));
  }

  async writeText(text: string): Promise<void> {
    await writeFile(this.config, text, { mode: 0o600 });
  }

  /** Starts `ttun up` with this configuration. */
  up(site: Site, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): BackgroundProcess {
    return site.start([process.execPath, BIN, 'up', '-c', this.config, ...args], { env });
  }

  /** Runs `ttun reload` for the process with this configuration. */
  reload(site: Site, ...args: string[]): Promise<RunResult> {
    return site.runToEnd([process.execPath, BIN, 'reload', '-c', this.config, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true });
  }
}

/** Site A's end of the tunnel between the TUN devices of the sites. */
export function officeAtA({ a, b }: Sites, more: Table = {}): Table {
  return { device: a.tun, local: `${a.outer.ipv4}:9000`, remote: `${b.outer.ipv4}:9000`, ...more };
}

/** The other end, as a process of its own. */
export async function startOfficeAtB({ a, b }: Sites): Promise<BackgroundProcess> {
  const other = startTtun(b, ['-q', b.tun, b.outer.ipv4, '9000', a.outer.ipv4, '9000']);
  await other.waitForLine('attached to');
  return other;
}

/**
 * Sends this many echo requests one after the other, so that exactly this many packets pass in each direction: ping(8) itself may
 * send more when replies are slow.
 */
export async function exchangePings(site: Site, address: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) {
    const { received } = await ping(site, address, { count: 1, intervalMs: 5000 });
    if (received !== 1)
      throw new Error(`echo request ${sent + 1} of ${count} to ${address} was not answered`);
  }
}

/** The events printed so far with `--json`. */
export function eventsOf(up: BackgroundProcess): readonly Table[] {
  return up.stdout
    .split('\n')
    .slice(0, -1)
    .map((line): Table => JSON.parse(line));
}

/** Strings, numbers and arrays of strings look the same in JSON and TOML. */
function toToml({ http, tunnels }: ConfigTables): string {
  const tables = [
    ...(http === undefined ? [] : [['http', http] as const]),
    ...Object.entries(tunnels).map(([name, table]) => [`tunnels.${name}`, table] as const),
  ];
  return tables.map(([name, table]) => writeTable(name, table)).join('\n');
}

function writeTable(name: string, table: Table): string {
  const [values, nested] = [[] as string[], [] as string[]];
  for (const [key, value] of Object.entries(table)) {
    if (isTable(value)) nested.push(writeTable(`${name}.${key}`, value));
    else values.push(`${key} = ${JSON.stringify(value)}\n`);
  }
  return [`[${name}]\n`, ...values, ...nested].join('');
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
