/** Kernel settings, from `/proc/sys`. */
import { readFileSync } from 'node:fs';
import { settingOf, settingPath } from '../settings.ts';

const NAMES = [
  'net.core.rmem_max',
  'net.core.wmem_max',
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_max',
] as const;

/** @param devices names of interfaces whose own settings are wanted */
export function gatherSettings(devices: readonly string[]): Map<string, number> {
  const names = [...NAMES, ...['all', ...devices].map((device) => settingOf(device, 'rp_filter'))];
  const settings = new Map<string, number>();
  for (const name of names) {
    const value = read(name);
    if (value !== null) settings.set(name, value);
  }
  return settings;
}

/** `null` where this kernel has no such setting, or does not tell it to this user. */
function read(name: string): number | null {
  try {
    const value = Number(readFileSync(settingPath(name), 'utf8').trim());
    return Number.isInteger(value) ? value : null;
  } catch {
    return null;
  }
}
