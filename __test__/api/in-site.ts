/** Programs that use the built package, run in the network namespace of a site. */
import type { Site } from '../../testbed/site.ts';

/** The entry of the built package. */
export const PACKAGE: string = new URL('../../dist/index.js', import.meta.url).href;

export interface InSiteOptions {
  readonly nodeFlags?: readonly string[];
  /** How long it may take, in ms. Default 10,000. */
  readonly timeoutMs?: number;
}

/**
 * Runs a program in a site, as an ES module with `createTunnel`, `TtunError`, and `options` for its device, and returns what
 * it hands to `report()`, once for each call. A program that does not end by itself is an error.
 */
export async function runInSite(
  site: Site,
  program: string,
  { nodeFlags = [], timeoutMs }: InSiteOptions = {},
): Promise<unknown[]> {
  const options = { device: site.tun, local: `${site.outer.ipv4}:9000`, remote: '10.0.1.2:9000' };
  const source = `
    import { createTunnel, TtunError } from '${PACKAGE}';
    const options = ${JSON.stringify(options)};
    const report = (value) => console.log(JSON.stringify(value));
    ${program}
  `;
  const command = [process.execPath, ...nodeFlags, '--input-type=module', '-e', source];
  const { stdout } = await site.run(command, timeoutMs === undefined ? {} : { timeoutMs });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
}
