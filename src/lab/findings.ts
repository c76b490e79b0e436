/** One attempt to reach an address of the other site. */
export interface PingFinding {
  from: string;
  to: string;
  address: string;
  over: 'cable' | 'tunnel';
  /** Whether the two ttun ran. */
  tunnelRuns: boolean;
  by: 'ping' | 'tcp-knock';
  answered: boolean;
  /** Round trip in ms; null without an answer. */
  roundTripMs: number | null;
}

export interface ThroughputFinding {
  from: string;
  to: string;
  by: 'iperf3' | 'node';
  bitsPerSecond: number;
  seconds: number;
}

/** How a ttun process ended. */
export interface TunnelFinding {
  site: string;
  exitCode: number | null;
  signal: string | null;
  /** Its closing summary, line by line. */
  summary: string[];
  /** With `--json`: its counters at the end, as `Tunnel.stats()` gives them. */
  stats: object | null;
}

/** What the lab found out; all of it is in the JSON document. */
export interface Findings {
  pings: PingFinding[];
  /** What arrived at the other end of the TCP connection; null when nothing was sent yet. */
  hello: string | null;
  throughput: ThroughputFinding[];
  tunnels: TunnelFinding[];
}
