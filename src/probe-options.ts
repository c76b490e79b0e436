/** The values of the option `probe`, for the schema and for the command line, which does without the schema. */
import { checkUnicast, InvalidValue, parseInnerAddress } from './address.ts';
import type { IpAddress } from './address.ts';
import { formatInterval, within } from './quantity.ts';
import type { Range } from './quantity.ts';
import { MAXIMUM_MTU } from './network.ts';

/** Probes of an address in the tunnel. */
export interface ResolvedProbe {
  readonly address: ProbeAddress;
  readonly intervalMs: number;
  /** Bytes of the inner packet; `null` for as many as those of ping(8). */
  readonly size: number | null;
}

export type ProbeAddress = Pick<IpAddress, 'family' | 'text'>;

export const DEFAULT_INTERVAL_MS = 1000;

/** Milliseconds. */
const INTERVAL: Range = {
  minimum: 10,
  maximum: 3_600_000,
  tooLow: 'is too short an interval',
  tooHigh: 'is too long an interval',
  none: 'is not an interval',
  hint: "give a time from '10ms' to '1h'",
};

/** Bytes of the shortest probe: IP header, ICMP header, and 16 bytes by which replies are recognised. */
export const LEAST_SIZE = { 4: 20 + 8 + 16, 6: 40 + 8 + 16 } as const;

/** Parses the address of one host in the tunnel. */
export function parseProbeAddress(text: string): ProbeAddress {
  const address = parseInnerAddress(text);
  checkUnicast(address);
  if (/^(?:0\.0\.0\.0|127\..*|::1?)$/.test(address.text)) {
    throw new InvalidValue(
      `${address.text} is not an address of the peer`,
      "give the address of the peer's tunnel device",
    );
  }
  return address;
}

/** @returns the interval */
export function checkInterval(ms: number): number {
  return within(INTERVAL, ms, formatInterval(ms));
}

/** @throws InvalidValue if a probe of that address cannot have that many bytes */
export function checkProbeSize(size: number, { family }: ProbeAddress): void {
  if (Number.isInteger(size) && size >= LEAST_SIZE[family] && size <= MAXIMUM_MTU) return;
  throw new InvalidValue(
    `${size} is not the size of a probe over IPv${family}`,
    `give a number of bytes from ${LEAST_SIZE[family]} to ${MAXIMUM_MTU}`,
  );
}
