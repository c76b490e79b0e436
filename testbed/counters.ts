/** The kernel's own counters of a site. */
import type { Site } from './site.ts';

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
  readonly errors: number;
  readonly dropped: number;
}

export interface DeviceCounters {
  /** What the kernel received from the device (for a TUN: what a program wrote to it). A super-packet counts once. */
  readonly rx: Traffic;
  /** What the kernel sent by the device (for a TUN: what a program read from it, and what was dropped before). */
  readonly tx: Traffic;
}

interface LinkReport {
  readonly stats64: DeviceCounters;
}

/** As `ip -s link show` prints them. */
export async function deviceCounters(site: Site, device: string): Promise<DeviceCounters> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fields used are those that ip(8) has always printed.
  const [report] = JSON.parse(await site.ip('-json', '-s', 'link', 'show', 'dev', device)) as LinkReport[];
  if (report === undefined) throw new Error(`ip printed no counters of ${device}`);
  return report.stats64;
}

/** The namespace's protocol counters by the names of nstat(8): `TcpRetransSegs`, `UdpRcvbufErrors`, `Ip6InDiscards`, … */
export async function protocolCounters(site: Site): Promise<ReadonlyMap<string, number>> {
  const files = ['snmp', 'netstat', 'snmp6'].map((name) => `/proc/net/${name}`);
  const { stdout } = await site.run(['cat', ...files]);
  const counters = new Map<string, number>();
  let names: string[] = [];
  for (const line of stdout.split('\n')) {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    if (!first.endsWith(':')) {
      // snmp6 has one counter a line.
      if (rest.length === 1) counters.set(first, Number(rest[0]));
    } else if (names.length === 0) {
      // snmp and netstat have a line of names and then one of values, each after the protocol.
      names = rest.map((name) => `${first.slice(0, -1)}${name}`);
    } else {
      for (const [index, name] of names.entries()) counters.set(name, Number(rest[index]));
      names = [];
    }
  }
  return counters;
}
