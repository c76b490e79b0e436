import { libcOfNode } from './libc.ts';
import type { Libc } from './libc.ts';

/** What a native part is for. All are for Linux. */
export interface Platform {
  /** As `process.arch` names it. */
  readonly cpu: string;
  readonly libc: Libc;
}

/** The one that Node was built for. */
export function platformOfNode(): Platform {
  return { cpu: process.arch, libc: libcOfNode() };
}

/** As the tools of napi-rs name files and packages after it: `linux-x64-gnu`. */
export function platformName({ cpu, libc }: Platform): string {
  const abi = libc === 'glibc' ? 'gnu' : 'musl';
  return `linux-${cpu}-${abi}${cpu === 'arm' ? 'eabihf' : ''}`;
}

/** The package that has the native part for it. */
export function packageName(platform: Platform): string {
  return `@ttun/binding-${platformName(platform)}`;
}
