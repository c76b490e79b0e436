/** Host names of one site: `ip netns exec` mounts the files of /etc/netns/NAME over those of /etc. */
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Site } from './site.ts';

/** The name server besides the list of names: none, or one that does not answer. */
export type Beyond = 'none' | 'dead';

export class SiteNames implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** For programs that are started in the site afterwards. */
  static async of(site: Site, beyond: Beyond = 'none'): Promise<SiteNames> {
    const folder = join('/etc/netns', site.namespace);
    await mkdir(folder, { recursive: true });
    const names = new SiteNames(folder);
    await names.set({});
    await writeFile(join(folder, 'nsswitch.conf'), `hosts: files${beyond === 'dead' ? ' dns' : ''}\n`);
    await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    return names;
  }

  /** Changes the addresses of names, for running programs too. */
  async set(names: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const lines = Object.entries(names).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    // Written in place: programs see this file, mounted over theirs.
    await writeFile(join(this.#folder, 'hosts'), lines.join(''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
    // Removed with the last of the namespaces.
    await rmdir('/etc/netns').catch(() => {});
  }
}
