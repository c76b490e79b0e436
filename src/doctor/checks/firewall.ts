import type { HostFacts, InputChain, SubjectFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkFirewall({ subject, way }: SubjectFacts, { inputChains }: HostFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null || way.peer.address === null || inputChains === null) return [];
  const { port } = options.local;
  const { address } = way.peer;
  const saddr = address.family === 4 ? 'ip saddr' : 'ip6 saddr';
  return inputChains
    .filter(({ family }) => family === 'inet' || family === (address.family === 4 ? 'ip' : 'ip6'))
    .filter((chain) => !accepts(chain, port))
    .map(({ family, table, name }) =>
      finding(
        'firewall-input',
        `no rule of the firewall (${family} ${table} ${name}) accepts UDP port ${port}`,
        {
          commands: [
            `nft insert rule ${family} ${table} ${name} ${saddr} ${address.text} udp dport ${port} accept`,
          ],
          advice: `look at the rules: nft list table ${family} ${table}`,
        },
      ),
    );
}

function accepts({ acceptedPorts }: InputChain, port: number): boolean {
  return acceptedPorts.some(([first, last]) => first <= port && port <= last);
}
