/** What the kernel puts round each packet of a tunnel, in bytes: the outer IP header, by its family, and the UDP header. */
export const OUTER_OVERHEAD = { 4: 20 + 8, 6: 40 + 8 } as const;

/** The least MTU with which an interface carries IPv6 (RFC 8200, section 5). */
export const IPV6_MINIMUM_MTU = 1280;
