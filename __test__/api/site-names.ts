/** What names stand for in one site: `ip netns exec` puts the files of /etc/netns/NAME in the place of those in /etc. */
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Site } from '../../testbed/site.ts';

/** Where the answers to names come from besides the list: `none` knows no others, `dead` is a name server that is not there. */
export type Beyond = 'none' | 'dead';

export class SiteNames implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** For programs that are started in the site from now on. */
  static async of(site: Site, beyond: Beyond = 'none'): Promise<SiteNames> {
    const folder = join('/etc/netns', site.namespace);
    await mkdir(folder, { recursive: true });
    const names = new SiteNames(folder);
    await names.set({});
    await writeFile(join(folder, 'nsswitch.conf'), `hosts: files${beyond === 'dead' ? ' dns' : ''}\n`);
    await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    return names;
  }

  /** Changes what names stand for, also for programs that run. */
  async set(names: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const lines = Object.entries(names).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    // Written in place: what programs see is this very file, mounted over theirs.
    await writeFile(join(this.#folder, 'hosts'), lines.join(''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
    // The folder of all namespaces goes with the last of them.
    await rmdir('/etc/netns').catch(() => {});
  }
}
