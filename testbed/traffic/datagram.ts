/** Datagrams whose content follows from their number and size, so that a receiver can account for each. */

/** Bytes at the front that hold the number, as far as there are so many. */
const NUMBER_BYTES = 4;

/** Size of a datagram: the sizes are taken in turn. */
export function sizeOf(number: number, sizes: readonly number[]): number {
  const size = sizes[number % sizes.length];
  if (size === undefined) throw new RangeError('no sizes');
  return size;
}

/** The number (little endian, cut off at the datagram's size) and then bytes that depend on it. */
export function makeDatagram(number: number, sizes: readonly number[]): Buffer {
  const size = sizeOf(number, sizes);
  const datagram = Buffer.allocUnsafe(Math.max(size, NUMBER_BYTES));
  for (let index = NUMBER_BYTES; index < size; index += 1) datagram[index] = (number + index * 31) % 251;
  datagram.writeUInt32LE(number);
  return datagram.subarray(0, size);
}

/**
 * The number of a datagram that arrived: of those with its number's low bytes the one nearest to `expected`.
 * `null` when it was not sent.
 */
export function numberOf(datagram: Buffer, expected: number, sizes: readonly number[]): number | null {
  const bytes = Math.min(datagram.length, NUMBER_BYTES);
  const modulus = 256 ** bytes;
  const low = bytes === 0 ? 0 : datagram.readUIntLE(0, bytes);
  const base = expected - (expected % modulus) + low;
  const candidates = [base, base - modulus, base + modulus]
    .filter((candidate) => candidate >= 0)
    .toSorted((one, other) => Math.abs(one - expected) - Math.abs(other - expected));
  return candidates.find((candidate) => makeDatagram(candidate, sizes).equals(datagram)) ?? null;
}
