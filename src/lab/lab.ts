import type { Caretaker } from './caretaker.ts';
import type { Commands } from './commands.ts';
import type { LabFailure } from './failure.ts';
import type { Findings } from './findings.ts';
import type { Story } from './story.ts';
import type { TunnelProcess } from './tunnel-process.ts';

/** Where the lab runs: on the machine itself, or in a user namespace of its own. */
export type LabMode = 'root' | 'user-namespace';

/** A running lab: what its steps share. */
export interface Lab {
  mode: LabMode;
  /** Whether its findings are for a program: then ttun is asked for its counters, and prints no packets. */
  json: boolean;
  story: Story;
  commands: Commands;
  findings: Findings;
  /** Aborts when the lab is to stop, with the reason. */
  signal: AbortSignal;
  /** Makes the lab stop because of something that happened outside the step at work. */
  fail: (failure: LabFailure) => void;
  caretaker: Caretaker;
  /** The namespaces that this lab made and has not removed yet, by name, with what tells them from others of that name. */
  namespaces: Map<string, number>;
  /** The ttun processes that it started, until they are told to end. */
  tunnels: TunnelProcess[];
}
