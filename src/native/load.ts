import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Binding from '../../binding.cjs';
import { packageVersion } from '../package-version.ts';
import { flawOf } from './flaw.ts';
import { packageName, platformName, platformOfNode } from './platform.ts';
import type { Platform } from './platform.ts';

export type Loading =
  | { readonly binding: typeof Binding; readonly failure: null }
  | { readonly binding: null; readonly failure: Failure };

/** Why there is no native part to use. */
export type Failure =
  | { readonly kind: 'absent' }
  | { readonly kind: 'flawed'; readonly path: string; readonly flaw: string }
  /** By the dynamic loader. */
  | { readonly kind: 'refused'; readonly path: string; readonly error: unknown }
  | { readonly kind: 'other-version'; readonly path: string; readonly version: string };

/** Loads the native part for this Node: as it was built in the checkout, or from the package for the platform. */
export function loadNativePart(): Loading {
  const path = locate(platformOfNode());
  if (path === null) return failed({ kind: 'absent' });
  let binding: typeof Binding;
  try {
    const flaw = flawOf(path);
    if (flaw !== null) return failed({ kind: 'flawed', path, flaw });
    binding = require(path);
  } catch (error) {
    return failed({ kind: 'refused', path, error });
  }
  // A package manager updated one package and not the other, or the checkout was not built again.
  const version = binding.version();
  if (version !== packageVersion()) return failed({ kind: 'other-version', path, version });
  return { binding, failure: null };
}

const require = createRequire(import.meta.url);

function locate(platform: Platform): string | null {
  const built = fileURLToPath(new URL(`../../ttun.${platformName(platform)}.node`, import.meta.url));
  if (existsSync(built)) return built;
  try {
    return require.resolve(packageName(platform));
  } catch {
    return null;
  }
}

function failed(failure: Failure): Loading {
  return { binding: null, failure };
}
