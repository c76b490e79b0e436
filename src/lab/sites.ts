/** The two sites of the lab: names, devices and addresses, the same as in the README. */

/** One end of the lab: a network namespace with a cable (veth) and a TUN device in it. */
export interface Site {
  /** Name of the network namespace. */
  name: string;
  /** Its end of the cable. */
  veth: string;
  /** Its address on the cable, which the tunnel's UDP datagrams use. */
  cableAddress: string;
  /** Its address on the TUN device, which the packets inside the tunnel use. */
  tunnelAddress: string;
}

export const siteA: Site = {
  name: 'siteA',
  veth: 'veth0',
  cableAddress: '10.0.1.1',
  tunnelAddress: '10.0.2.1',
};

export const siteB: Site = {
  name: 'siteB',
  veth: 'veth1',
  cableAddress: '10.0.1.2',
  tunnelAddress: '10.0.2.2',
};

export const sites: readonly Site[] = [siteA, siteB];

/** Both directions. */
export const directions: readonly (readonly [from: Site, to: Site])[] = [
  [siteA, siteB],
  [siteB, siteA],
];

export const tunDevice = 'tun0';

/** UDP port of the tunnel, on both sides. */
export const tunnelPort = 9000;

/** TCP port of the greeting and of the lab's own throughput programs. */
export const tcpPort = 8000;

export function peerOf(site: Site): Site {
  return site === siteA ? siteB : siteA;
}

/** The text sent through a TCP connection. */
export const greeting = 'Hello World';
