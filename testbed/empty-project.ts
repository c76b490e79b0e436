/** An empty folder for installing packages and running programs as users do, with only Node, npm and a shell on the PATH. */
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run, runToEnd } from './exec.ts';
import type { Command, RunOptions, RunResult } from './exec.ts';

export interface EmptyProjectOptions {
  /** Path of Node. Default: the one that runs this. */
  readonly node?: string;
  /** Paths of further programs to put on the PATH. */
  readonly programs?: readonly string[];
  /** A command in front of each command. Default: none. */
  readonly within?: Command;
  /** URL of the registry. Default: that of npm's settings. */
  readonly registry?: string;
}

/** npm is slow on a busy machine. */
const TIMEOUT_MS = 300_000;

/** `npm test` passes npm's settings, such as the folder of its cache, on to everything that it runs. */
const WITHOUT_OUR_NPM: NodeJS.ProcessEnv = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => name.toLowerCase().startsWith('npm_'))
    .map((name) => [name, undefined]),
);

export class EmptyProject implements AsyncDisposable {
  /** The folder in which programs run. */
  readonly folder: string;
  /** The only folder on the PATH. */
  readonly bin: string;
  /** The home directory, where npm has its cache. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;

  readonly #within: Command;

  private constructor(around: string, within: Command, registry: string | undefined) {
    this.home = around;
    this.#within = within;
    this.folder = join(around, 'project');
    this.bin = join(around, 'bin');
    this.env = {
      ...WITHOUT_OUR_NPM,
      PATH: this.bin,
      HOME: around,
      ...(registry !== undefined && { npm_config_registry: registry }),
    };
  }

  static async create({
    node = process.execPath,
    programs = [],
    within = [],
    registry,
  }: EmptyProjectOptions = {}): Promise<EmptyProject> {
    const project = new EmptyProject(await mkdtemp(join(tmpdir(), 'ttun-project-')), within, registry);
    await mkdir(project.folder);
    await mkdir(project.bin);
    await symlink(node, join(project.bin, 'node'));
    for (const script of ['npm', 'npx']) {
      await symlink(await realpath(join(dirname(process.execPath), script)), join(project.bin, script));
    }
    for (const program of ['/bin/sh', '/usr/bin/env', ...programs]) {
      await symlink(program, join(project.bin, program.slice(program.lastIndexOf('/') + 1)));
    }
    return project;
  }

  /** Runs a program in the folder; rejects if its exit status is not 0. */
  run(command: Command, options: RunOptions = {}): Promise<RunResult> {
    return run(this.#inside(command), this.#settings(options));
  }

  /** Runs a program in the folder, whatever its exit status. */
  runToEnd(command: Command, options: RunOptions = {}): Promise<RunResult> {
    return runToEnd(this.#inside(command), this.#settings(options));
  }

  /** Installs packages without output. */
  async npmInstall(...args: string[]): Promise<void> {
    await this.run(['npm', 'install', '--no-audit', '--no-fund', '--no-update-notifier', ...args]);
  }

  /** @returns the path of the file that was written */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home, { recursive: true });
  }

  #inside(command: Command): Command {
    return [...this.#within, 'env', '-C', this.folder, ...command];
  }

  #settings({ env, ...options }: RunOptions): RunOptions {
    return { timeoutMs: TIMEOUT_MS, ...options, env: { ...this.env, ...env } };
  }
}
