/** A site with a fault, on which `ttun doctor` and the commands it prints are run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Unchecked } from '../../src/doctor/diagnosis.ts';
import type { Finding, FindingCode } from '../../src/doctor/finding.ts';
import type { BackgroundProcess, Command, RunResult } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { BIN } from '../../testbed/tunnel.ts';

/** What `--json` prints. */
export interface Examination {
  readonly problems: number;
  readonly warnings: number;
  readonly findings: readonly (Finding & { readonly subject: string | null })[];
  readonly unchecked: readonly Unchecked[];
}

/** An ordinary user. */
export const USER = { id: '65534', name: 'nobody' } as const;

export interface As {
  /** Default: root. */
  readonly user?: typeof USER;
}

/** Programs run here share a mount namespace of their own. */
export class Patient implements AsyncDisposable {
  readonly site: Site;
  readonly #keeper: BackgroundProcess;
  readonly #folder: string;

  private constructor(site: Site, keeper: BackgroundProcess, folder: string) {
    this.site = site;
    this.#keeper = keeper;
    this.#folder = folder;
  }

  static async in(site: Site): Promise<Patient> {
    // `ip netns exec` makes the mount namespace.
    const keeper = site.start(['sh', '-c', 'echo ready; exec sleep infinity']);
    await keeper.waitForLine('ready');
    return new Patient(site, keeper, await mkdtemp(join(tmpdir(), 'ttun-doctor-')));
  }

  /** Runs a shell's command line as root; it must succeed. */
  async sh(line: string): Promise<string> {
    return (await this.site.run(this.#inside(['sh', '-ec', line]))).stdout;
  }

  /** Replaces the content of a file, for programs run here only. */
  async pretend(path: string, text: string): Promise<void> {
    const file = join(this.#folder, path.replaceAll('/', '_'));
    await writeFile(file, text, { mode: 0o644 });
    await this.sh(`mount --bind '${file}' '${path}'`);
  }

  /** Writes a configuration file, and returns its path. */
  async configure(toml: string): Promise<string> {
    const path = join(this.#folder, 'ttun.toml');
    await this.sh(`chmod 0755 '${this.#folder}'`);
    await writeFile(path, toml, { mode: 0o644 });
    return path;
  }

  /** Runs `ttun doctor`. */
  doctor(args: readonly string[], { user }: As = {}): Promise<RunResult> {
    const command = [process.execPath, BIN, 'doctor', ...args];
    return this.site.runToEnd(this.#inside(user === undefined ? command : asUser(command)), {
      timeoutMs: 30_000,
    });
  }

  async examine(args: readonly string[], as: As = {}): Promise<Examination> {
    const { status, stdout, stderr } = await this.doctor([...args, '--json'], as);
    if (stderr !== '') throw new Error(`ttun doctor ${args.join(' ')}: ${stderr}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the tests fail where it is something else
    const examination = JSON.parse(stdout) as Examination;
    const isHealthy = examination.problems + examination.warnings === 0;
    if (status !== (isHealthy ? 0 : 1)) throw new Error(`exit code ${status} for: ${stdout}`);
    return examination;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }

  #inside(command: Command): Command {
    return ['nsenter', '--target', `${this.#keeper.pid}`, '--mount', '--', ...command];
  }
}

/** This user may not be able to reach the checkout; CAP_DAC_READ_SEARCH does not let it see into other users' processes. */
function asUser(command: Command): Command {
  const readAll = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  return ['setpriv', `--reuid=${USER.id}`, `--regid=${USER.id}`, '--clear-groups', ...readAll, ...command];
}

export function find({ findings }: Examination, code: FindingCode): Finding | undefined {
  return findings.find((found) => found.code === code);
}

/**
 * Asserts that the fault is found, that its commands, typed as they are, fix it, and that it is then no longer found.
 *
 * @returns the first of the findings
 */
export async function assertFixed(
  t: ExecutionContext,
  patient: Patient,
  code: FindingCode,
  args: readonly string[],
  as: As = {},
): Promise<Finding> {
  const { findings } = await patient.examine(args, as);
  const found = findings.filter((each) => each.code === code);
  const [first] = found;
  if (first === undefined) throw new Error(`no ${code} in ${JSON.stringify(findings, null, 2)}`);
  for (const { commands } of found) {
    t.not(commands.length, 0, `${code} names no command`);
    for (const command of commands) await patient.sh(command);
  }
  const after = find(await patient.examine(args, as), code);
  t.is(after, undefined, `the commands do not fix it: ${JSON.stringify(after)}`);
  return first;
}

/** Asserts that the fault is found, without commands but with this advice. */
export async function assertAdvised(
  t: ExecutionContext,
  patient: Patient,
  code: FindingCode,
  args: readonly string[],
  advice: RegExp,
  as: As = {},
): Promise<void> {
  const found = find(await patient.examine(args, as), code);
  t.deepEqual(found?.commands, []);
  t.regex(found?.advice ?? '', advice);
}
