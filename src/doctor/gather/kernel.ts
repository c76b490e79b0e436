import { release } from 'node:os';
import type { Kernel } from '../facts.ts';

export function gatherKernel(): Kernel {
  return parseRelease(release());
}

/** `6.18.44-custom`, `7.0-rc1` */
export function parseRelease(text: string): Kernel {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return { release: text, version: [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0)] };
}
