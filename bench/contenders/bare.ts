/** No tunnel: the link itself, as the upper bound. */
import { FITTING_MTU } from './contender.ts';
import type { Contender } from './contender.ts';

export const bare: Contender = {
  name: 'bare',
  description: 'no tunnel at all, the veth pair itself',
  programs: [],
  tunMtu: FITTING_MTU,
  addresses: (site) => site.outer,
};
