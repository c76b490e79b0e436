import { guest, inSite } from './command-line.ts';
import type { Lab } from './lab.ts';
import { siteA, siteB, tcpPort } from './sites.ts';

export const greeting = 'Hello World';
const limit = 5000;

/**
 * Sends a greeting through TCP. The two ends are Node programs of the lab's own even where nc is installed: the netcats differ in
 * their options and in when they end.
 */
export async function sayHello({ story, commands, findings }: Lab): Promise<void> {
  story.step('Hello World', 'TCP through the tunnel: siteB listens at its TUN address, siteA sends.');
  const address = siteB.tunnelAddress;
  const listener = inSite(siteB, guest('listen', address, String(tcpPort)));
  const sender = inSite(siteA, guest('send', address, String(tcpPort)));

  await commands.withServer(
    listener,
    { address, port: tcpPort, remark: `like: ip netns exec siteB nc -l -s ${address} -p ${tcpPort}` },
    async (served) => {
      await commands.observe(sender, {
        limit,
        input: `${greeting}\n`,
        remark: `like: ip netns exec siteA nc ${address} ${tcpPort}`,
      });
      const { stdout } = await served(limit);
      story.output(stdout);
      findings.hello = stdout.join('\n');
    },
  );
  story.expect(
    findings.hello === greeting,
    `"${greeting}" arrived in siteB`,
    `"${greeting}" was sent to siteB, and "${findings.hello}" arrived`,
  );
}
