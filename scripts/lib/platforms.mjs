/**
 * The platforms that have prebuilt packages, as Node names them. Those with glibc are linked for 2.17, the oldest that Rust supports;
 * any system that runs a supported Node has a newer one.
 */
export const PLATFORMS = [
  { name: 'linux-x64-gnu', target: 'x86_64-unknown-linux-gnu', oldestGlibc: '2.17' },
  { name: 'linux-arm64-gnu', target: 'aarch64-unknown-linux-gnu', oldestGlibc: '2.17' },
  { name: 'linux-x64-musl', target: 'x86_64-unknown-linux-musl', staticProgram: 'ttun-linux-x64' },
  { name: 'linux-arm64-musl', target: 'aarch64-unknown-linux-musl', staticProgram: 'ttun-linux-arm64' },
];

/**
 * The file of the native part for a platform, as napi-rs names it.
 *
 * @param {{ readonly name: string }} platform
 */
export function nativePart({ name }) {
  return `ttun.${name}.node`;
}
