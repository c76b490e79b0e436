/** The Internet checksum, computed the slow and obvious way (RFC 1071): the reference for the tunnel's own. */

/** The ones' complement sum of 16-bit words; a last odd byte counts as if a zero followed. */
export function onesComplementSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += (bytes[index] ?? 0) * 256 + (bytes[index + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function internetChecksum(bytes: Uint8Array): number {
  return 0xffff - onesComplementSum(bytes);
}

/** As UDP sends it: zero means "none" there, so a sum of zero is sent in its other form (RFC 768). */
export function udpChecksum(bytes: Uint8Array): number {
  return internetChecksum(bytes) || 0xffff;
}
