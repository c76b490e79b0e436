import * as v from 'valibot';
import type { OffloadOptions } from '../../options.ts';
import { OFFLOAD_DEFAULTS } from '../../tunnel-defaults.ts';
import { flag } from './actions.ts';
import { agreeing } from './agreement.ts';
import type { SchemaOf } from './agreement.ts';

export const OFFLOAD: SchemaOf<OffloadOptions, Required<OffloadOptions>> = agreeing<OffloadOptions>()(
  v.pipe(
    v.strictObject({
      checksum: flag(
        'The device hands over packets whose checksum is not filled in yet (TUN_F_CSUM). Without it tso and uso are off too.',
        OFFLOAD_DEFAULTS.checksum,
      ),
      tso: flag(
        'The device hands over and takes TCP super-packets of up to 64 KiB (TUN_F_TSO4, TUN_F_TSO6).',
        OFFLOAD_DEFAULTS.tso,
      ),
      uso: flag(
        'The device hands over and takes runs of UDP datagrams as one (TUN_F_USO4, TUN_F_USO6; kernel 6.2 and later).',
        OFFLOAD_DEFAULTS.uso,
      ),
      segment: flag('One send carries up to 64 datagrams (UDP_SEGMENT).', OFFLOAD_DEFAULTS.segment),
      receive: flag('One receive brings many datagrams (UDP_GRO).', OFFLOAD_DEFAULTS.receive),
      virtioHeader: flag(
        'Packets of the device carry a virtio-net header (IFF_VNET_HDR). Without it checksum, tso and uso are off too.',
        OFFLOAD_DEFAULTS.virtioHeader,
      ),
    }),
    v.metadata({
      description:
        "What may be used at most of the kernel's offloads. What a kernel lacks is done without in any case; each can be switched off to find a fault.",
    }),
  ),
);
