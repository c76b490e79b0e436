import { overlap, parseNetwork } from '../../ip-network.ts';
import type { SubjectFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** Whether answers to what the peer may send go back through the tunnel. */
export function checkAnswers({ subject, device, answers }: SubjectFacts): Finding[] {
  if (device?.kind !== 'tun' || !device.up) return [];
  const wishes = subject.options?.interface ?? null;
  const planned = [...(wishes?.routes ?? []), ...(wishes?.addresses ?? [])].map(parseNetwork);
  return answers
    .filter(({ route }) => route?.device !== device.name)
    .filter(({ network }) => !planned.some((one) => overlap(one, parseNetwork(network))))
    .map(({ network, route }) => {
      const way = route === null ? 'no route leads there' : `answers would leave by ${route.device}`;
      const what = `packets from ${network} are accepted, but ${way}`;
      return finding('source-not-routed', what, { commands: [`ip route add ${network} dev ${device.name}`] });
    });
}
