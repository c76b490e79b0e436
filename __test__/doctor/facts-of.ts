/** Facts about a tunnel that has no faults, for checks that are functions of them. */
import type { BindingInterface, BindingRoute } from '../../binding.cjs';
import { resolveOptions } from '../../src/config/resolve.ts';
import type { MeasuredPath, ProbeFacts, SubjectFacts } from '../../src/doctor/facts.ts';
import type { TunnelOptions } from '../../src/options.ts';
import type { TunnelReport } from '../../src/tunnel-host.ts';

const DEVICE: BindingInterface = {
  index: 7,
  name: 'tun0',
  kind: 'tun',
  multiQueue: false,
  owner: null,
  group: null,
  mtu: 1472,
  up: true,
  carrier: true,
  addresses: ['10.0.2.1/24'],
  rxDropped: 0,
  txDropped: 0,
};

const ROUTE: BindingRoute = {
  index: 2,
  device: 'eth0',
  local: false,
  gateway: null,
  source: '192.0.2.1',
  mtu: 1500,
};

const OPTIONS = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };

/** What differs from the usual. */
export interface Around {
  readonly measured?: MeasuredPath;
  readonly probe?: ProbeFacts;
  readonly running?: TunnelReport;
  readonly device?: Partial<BindingInterface>;
  readonly options?: Partial<TunnelOptions>;
  readonly route?: Partial<BindingRoute>;
  /** Its IPv4 address. */
  readonly peer?: string;
}

export function factsOf({ measured, device, options, route, peer, probe, running }: Around): SubjectFacts {
  const facts = {
    address: { family: 4, text: peer ?? '192.0.2.2', zone: null },
    route: { ...ROUTE, ...route },
    plainRoute: ROUTE,
    detour: [],
    bypass: null,
  } as const;
  return {
    subject: {
      title: 'tun0',
      device: 'tun0',
      options: resolveOptions({ ...OPTIONS, ...options }),
      running: running ?? null,
      socket: null,
      silence: null,
    },
    device: { ...DEVICE, ...device },
    networks: [],
    attached: [],
    path: { binding: 'taken', portHolders: [], bindDeviceExists: true, peer: facts, peerPort: 8000 },
    returnRoutes: [],
    probe: probe ?? null,
    measured: measured ?? null,
    arrivals: null,
  };
}
