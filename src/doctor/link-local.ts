/** fe80::/10: the kernel gives such an address to each interface by itself. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/.test(address);
}
