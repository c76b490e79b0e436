/** What goes over the control socket: a request is a line of JSON, and so is the answer. docs/control-socket.md tells of it. */
import type { ReloadReport, TunnelReport } from '../service/host.ts';

/** The version of the protocol; other versions are refused. */
export const PROTOCOL = 1 as const;

/** The longest line that a process reads, in bytes. */
export const LONGEST_REQUEST = 65_536;

/** So many clients are served at once. */
export const MOST_CLIENTS = 32;

export interface ShowReply {
  readonly protocol: typeof PROTOCOL;
  readonly process: ProcessReport;
  readonly tunnels: readonly TunnelReport[];
}

/** The process that answers. */
export interface ProcessReport {
  readonly pid: number;
  /** Numeric id of the user as whom it runs. */
  readonly uid: number;
  /** Of ttun. */
  readonly version: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Path of the configuration file; `null` when it runs by its arguments. */
  readonly config: string | null;
  readonly networkNamespace: NetworkNamespace;
}

export interface NetworkNamespace {
  /** Number of its inode, by which the kernel tells namespaces apart: `readlink /proc/self/ns/net`. */
  readonly inode: number;
  /** As `ip netns` calls it; `null` where it has no name. */
  readonly name: string | null;
}

export interface ReloadReply {
  readonly protocol: typeof PROTOCOL;
  readonly reload: ReloadReport;
}

/** After it comes a pcapng file, up to the end of the connection. */
export interface CaptureReply {
  readonly protocol: typeof PROTOCOL;
  readonly capture: { readonly tunnel: string; readonly format: 'pcapng' };
}

export interface ErrorReply {
  readonly protocol: typeof PROTOCOL;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}
