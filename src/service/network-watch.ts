/** Changes of the network around this process: interfaces, addresses, routes and rules. */
import type { BindingNetworkWatch } from '../../binding.cjs';
import { loadBinding } from '../native.ts';

/**
 * Calls `onChange` soon after changes, at most four times a second, and once at the start, until it is stopped. It does not keep the
 * process alive. `null` if that is not possible, as for lack of threads: so also retry by a timer.
 */
export function watchNetwork(onChange: () => void): BindingNetworkWatch | null {
  try {
    return loadBinding().watchNetworkChanges(onChange);
  } catch {
    return null;
  }
}
