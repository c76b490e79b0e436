import type { View } from './view.ts';

/** RFC 1112, RFC 2236, RFC 3376. @throws CutShort */
export function describeIgmp(view: View): string {
  const type = view.u8(0);
  switch (type) {
    case 0x11:
      return describeQuery(view);
    case 0x12:
      return `igmp v1 report ${view.ipv4(4)}`;
    case 0x16:
      return `igmp v2 report ${view.ipv4(4)}`;
    case 0x17:
      return `igmp leave ${view.ipv4(4)}`;
    case 0x22:
      return `igmp v3 report, ${view.u16(6)} group record(s)`;
    default:
      return `igmp-${type}`;
  }
}

/** The versions of queries differ in their length, and version 1 has no response time. */
function describeQuery(view: View): string {
  if (view.length >= 12) return 'igmp query v3';
  return view.u8(1) === 0 ? 'igmp query v1' : 'igmp query v2';
}
