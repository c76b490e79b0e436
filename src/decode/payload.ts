/** What the packet carries, described without the addresses around it. */
export interface Payload {
  /** Source and destination port, where the protocol has them and they are at hand. */
  readonly ports: readonly [source: number, destination: number] | null;
  readonly text: string;
}

/** A payload without ports. */
export function plain(text: string): Payload {
  return { ports: null, text };
}
