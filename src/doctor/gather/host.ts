/** All about this machine. */
import { TtunError } from '../../errors.ts';
import { loadBinding } from '../../native.ts';
import type { HostFacts } from '../facts.ts';
import { gatherInputChains } from './firewall.ts';
import { gatherKernel } from './kernel.ts';
import { gatherSettings } from './settings.ts';
import { gatherTunNode } from './tun-node.ts';
import { gatherUser } from './user.ts';

export async function gatherHost(): Promise<HostFacts> {
  // First: other systems than Linux have nothing of what is looked at below.
  const native = await askNative();
  const user = gatherUser();
  return {
    user,
    ...gatherTunNode(),
    kernel: gatherKernel(),
    ...native,
    settings: gatherSettings(native.interfaces.map(({ name }) => name)),
    inputChains: user.mayConfigure ? await gatherInputChains() : null,
  };
}

async function askNative(): Promise<Pick<HostFacts, 'native' | 'udp' | 'interfaces'>> {
  try {
    const binding = await loadBinding();
    return { native: null, udp: binding.probeUdp(), interfaces: binding.inspectDevices() };
  } catch (error) {
    if (!(error instanceof TtunError) || error.code !== 'ERR_TTUN_NATIVE_MISSING') throw error;
    return { native: { message: error.message, hint: error.hint ?? null }, udp: null, interfaces: [] };
  }
}
