/** Whether datagrams find a way to the peer, and not into the tunnel itself. */
import type { BindingRoute } from '../../../binding.cjs';
import type { IpAddress } from '../../address.ts';
import type { SubjectFacts } from '../facts.ts';
import { finding, ok } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkPeer({ subject, way }: SubjectFacts): Finding[] {
  const { options } = subject;
  if (options === null || way === null) return [];
  const { bindDevice } = options;
  if (bindDevice !== null && !way.bindDeviceExists) {
    const advice = 'ip -brief link lists the interfaces of this host';
    return [finding('bind-device-missing', `there is no interface ${bindDevice}`, { advice })];
  }
  const { peer } = way;
  if (peer.address === null) return [finding('peer-unresolved', peer.problem, { advice: peer.hint })];
  const { address, route, bypass } = peer;
  if (route === null) {
    const advice = `look at: ip route get ${address.text}`;
    return [finding('peer-unreachable', `there is no route to ${address.text}`, { advice })];
  }
  if (route.device === subject.device) return [throughTunnel(address, subject.device, bypass)];
  if (route.local) return [finding('peer-is-here', `${address.text} is an address of this host itself`)];
  const gateway = route.gateway === null ? 'directly' : `through ${route.gateway}`;
  return [ok(`${address.text} is reached by ${route.device}, ${gateway}`)];
}

function throughTunnel(address: IpAddress, device: string, bypass: BindingRoute | null): Finding {
  const what = `the route to the peer, ${address.text}, leads into ${device} itself`;
  if (bypass === null) {
    const advice = `add a route to ${address.text} by the interface that reaches it, or set bindDevice to that interface`;
    return finding('peer-through-tunnel', what, { advice });
  }
  const via = bypass.gateway === null ? '' : ` via ${bypass.gateway}`;
  const network = `${address.text}/${address.family === 4 ? 32 : 128}`;
  return finding('peer-through-tunnel', what, {
    // A route to the peer alone may be the very one that leads astray.
    commands: [`ip route replace ${network}${via} dev ${bypass.device}`],
    advice: `or bindDevice = "${bypass.device}" in the tunnel's configuration`,
  });
}
