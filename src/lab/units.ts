/** "9.71 Gbit/s", "861 Mbit/s". */
export function formatRate(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e9
    ? `${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s`
    : `${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s`;
}
