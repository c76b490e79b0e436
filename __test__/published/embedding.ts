/** Programs that embed a tunnel, by each way to load the package. */
import type { Sites } from '../../testbed/sites.ts';
import { socketAddress } from '../../testbed/tunnel.ts';

/** How a program gets at the package. */
export const LOADED_BY = {
  import: { file: 'embed.mjs', load: `import { createTunnel } from 'ttun';` },
  require: { file: 'embed.cjs', load: `const { createTunnel } = require('ttun');` },
} as const;

/** How many packets each way the programs wait for. */
export const PACKETS = 3;

/** Opens the tunnel of one site, waits until the packets have passed both ways, closes it, and prints what it has counted. */
export function embeddingProgram(load: string, sites: Sites, at: 'a' | 'b'): string {
  const [near, far] = at === 'a' ? [sites.a, sites.b] : [sites.b, sites.a];
  const options = {
    device: near.tun,
    local: socketAddress(near.outer.ipv4, 9000),
    remote: socketAddress(far.outer.ipv4, 9000),
  };
  return `${load}
const carry = async () => {
  const tunnel = await createTunnel(${JSON.stringify(options)});
  console.log('open');
  for await (const { stats } of tunnel.samples({ intervalMs: 50 })) {
    if (Math.min(stats.encap.packets, stats.decap.packets) >= ${PACKETS}) break;
  }
  await tunnel.close();
  const { encap, decap } = tunnel.stats();
  console.log(JSON.stringify({ out: encap.packets, in: decap.packets, dropped: encap.dropped + decap.dropped }));
};
carry();
`;
}
