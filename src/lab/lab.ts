/** The state that the steps of a running lab share, and their results. */
import type { Commands } from './commands.ts';
import type { Cleanup } from './namespaces.ts';
import type { LabFailure, Transcript } from './transcript.ts';
import type { TunnelFinding, TunnelProcess } from './tunnel-process.ts';

/** Where the lab runs: on the machine itself, or in its own user namespace. */
export type LabMode = 'root' | 'user-namespace';

export interface LabOptions {
  /** Leave everything up until Ctrl-C. */
  readonly keep: boolean;
  /** Print one JSON document on stdout, and the transcript on stderr. */
  readonly json: boolean;
}

export interface Lab {
  mode: LabMode;
  /** The findings are for a program: ttun then prints its counters as JSON, and no packets. */
  json: boolean;
  transcript: Transcript;
  commands: Commands;
  findings: Findings;
  /** Aborts when the lab is to stop, with the reason. */
  signal: AbortSignal;
  /** Stops the lab because of something that happened outside the current step. */
  fail: (failure: LabFailure) => void;
  cleanup: Cleanup;
  /** The namespaces that this lab created and has not removed yet: names and inode numbers. */
  namespaces: Map<string, number>;
  /** The ttun processes that run. */
  tunnels: TunnelProcess[];
}

/** The lab's results; all of them are in the JSON document. */
export interface Findings {
  pings: PingFinding[];
  /** The text that arrived at the other end of the TCP connection; null when nothing was sent yet. */
  hello: string | null;
  throughput: ThroughputFinding[];
  tunnels: TunnelFinding[];
}

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
