/** Checks of the firewall of this host: whether it lets the datagrams of a tunnel pass. */
import type { IpAddress } from '../address.ts';
import type { HostFacts, PathFacts, SubjectFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';
import { adviseProbe, keepsOpen } from './probe-checks.ts';
import { chainsThatDrop } from './firewall.ts';
import type { BaseChain, Datagram, Ruleset } from './firewall.ts';

export function checkFirewall(facts: SubjectFacts, { firewall, settings }: HostFacts): Finding[] {
  const { options } = facts.subject;
  const { path } = facts;
  if (options === null || path === null || path.peer.address === null || firewall === null) return [];
  const { peerPort } = path;
  if (peerPort === null) return [];
  const peer = path.peer.address;
  const port = options.local.port;
  const arriving = (state: Datagram['state']): Datagram => ({
    ...between(path, peerPort, port, state),
    source: peer.text,
    destination: options.local.address?.text ?? null,
  });
  const never = chainsThatDrop(firewall, 'input', arriving('established'));
  const first = chainsThatDrop(firewall, 'input', arriving('new')).filter((chain) => !never.includes(chain));
  return [
    ...never.map((chain) =>
      finding('firewall-drops', `the firewall (${nameOf(chain)}) drops datagrams to UDP port ${port}`, {
        commands: [acceptance(firewall, chain, peer, port)],
        advice: whereToLook(chain),
      }),
    ),
    ...first.map((chain) => {
      const what = `no rule of the firewall (${nameOf(chain)}) accepts UDP port ${port}`;
      const forgets = forgetsAfter(settings);
      if (keepsOpen(facts, forgets)) return ok(`${what}, but the probe keeps it open`);
      return finding('firewall-input', what, {
        commands: [acceptance(firewall, chain, peer, port)],
        advice: `${replies(settings)}; ${adviseProbe(facts, forgets)}; ${whereToLook(chain)}`,
      });
    }),
    ...checkOutput(facts, firewall),
  ];
}

function checkOutput({ subject: { options }, path }: SubjectFacts, firewall: Ruleset): Finding[] {
  if (options === null || path === null || path.peer.address === null || path.peerPort === null) return [];
  const { text } = path.peer.address;
  const { peerPort: port } = path;
  const datagram = {
    ...between(path, options.local.port, port, 'new'),
    // The rules see the source that the kernel chose.
    source: options.local.address?.text ?? 'unknown',
    destination: text,
  };
  return chainsThatDrop(firewall, 'output', datagram).map((chain) => {
    const { family, table, name } = chain;
    const to = `${addressOf(path.peer.address?.family)} daddr ${text} udp dport ${port}`;
    return finding(
      'firewall-output',
      `the firewall (${nameOf(chain)}) drops datagrams to ${text} port ${port}`,
      {
        commands: [`nft insert rule ${family} ${table} ${name} ${to} accept`],
        advice: whereToLook(chain),
      },
    );
  });
}

function between(
  { peer }: PathFacts,
  sourcePort: number,
  destinationPort: number,
  state: Datagram['state'],
): Pick<Datagram, 'family' | 'sourcePort' | 'destinationPort' | 'device' | 'state'> {
  const route = peer.address === null ? null : peer.route;
  // Between addresses of one host, datagrams pass through lo.
  const device = route?.local === true ? 'lo' : (route?.device ?? null);
  return { family: peer.address?.family ?? 4, sourcePort, destinationPort, device, state };
}

function nameOf({ family, table, name }: BaseChain): string {
  return `${family} ${table} ${name}`;
}

function whereToLook({ family, table }: BaseChain): string {
  return `see the rules: nft list table ${family} ${table}`;
}

/** The command of the program that made the chain: rules added by nft are lost when that program rebuilds its chains. */
function acceptance(
  { chains }: Ruleset,
  chain: BaseChain,
  { family: version, text }: IpAddress,
  port: number,
): string {
  const { family, table, name } = chain;
  if (table === 'firewalld') return `firewall-cmd --add-port=${port}/udp`;
  if ([...chains.keys()].some((key) => key.startsWith(`${family} ${table} ufw`))) {
    return `ufw allow proto udp from ${text} to any port ${port}`;
  }
  if (table === 'filter' && name === 'INPUT') {
    const iptables = version === 4 ? 'iptables' : 'ip6tables';
    return `${iptables} -I INPUT -s ${text} -p udp --dport ${port} -j ACCEPT`;
  }
  const from = `${addressOf(version)} saddr ${text} udp dport ${port}`;
  return `nft insert rule ${family} ${table} ${name} ${from} accept`;
}

function addressOf(family: 4 | 6 | undefined): string {
  return family === 6 ? 'ip6' : 'ip';
}

/** After how many seconds connection tracking forgets a datagram that was not answered (Documentation/networking/nf_conntrack-sysctl.rst). */
function forgetsAfter(settings: HostFacts['settings']): number {
  return settings.get('net.netfilter.nf_conntrack_udp_timeout') ?? 30;
}

/** How long connection tracking treats datagrams from the peer as replies to ours. */
function replies(settings: HostFacts['settings']): string {
  const first = settings.get('net.netfilter.nf_conntrack_udp_timeout');
  const later = settings.get('net.netfilter.nf_conntrack_udp_timeout_stream');
  if (first === undefined || later === undefined) return 'only replies to our datagrams pass';
  const pause = first === later ? `${first}` : `${first} to ${later}`;
  return `only replies to our datagrams pass, and only until none have passed for ${pause} s`;
}
