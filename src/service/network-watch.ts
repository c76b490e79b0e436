/** Changes of the network around this process: interfaces, addresses, routes and rules. */
import type { BindingNetworkWatch } from '../../binding.cjs';
import { loadBinding } from '../native.ts';

/**
 * Calls `onChange` soon after changes, at most four times a second, and once at the start, until it is stopped. It does not keep the
 * process alive. Returns `null` if changes cannot be watched, for example if no thread can be started, so callers also need a timer.
 */
export function watchNetwork(onChange: () => void): BindingNetworkWatch | null {
  try {
    return loadBinding().watchNetworkChanges(onChange);
  } catch {
    return null;
  }
}
