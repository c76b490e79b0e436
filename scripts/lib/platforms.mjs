/**
 * The platforms that prebuilt packages are made for, by the names that Node gives them. The GNU ones are linked for glibc 2.17, the
 * oldest that Rust supports; any glibc that runs a Node we support is newer.
 */
export const PLATFORMS = [
  { name: 'linux-x64-gnu', target: 'x86_64-unknown-linux-gnu', oldestGlibc: '2.17' },
  { name: 'linux-arm64-gnu', target: 'aarch64-unknown-linux-gnu', oldestGlibc: '2.17' },
  { name: 'linux-x64-musl', target: 'x86_64-unknown-linux-musl', staticProgram: 'ttun-linux-x64' },
  { name: 'linux-arm64-musl', target: 'aarch64-unknown-linux-musl', staticProgram: 'ttun-linux-arm64' },
];

/**
 * The file that holds the native part for a platform, by the name under which napi's tools look for it.
 *
 * @param {{ readonly name: string }} platform
 */
export function nativePart({ name }) {
  return `ttun.${name}.node`;
}
