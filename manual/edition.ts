/** What stands in the frame of a man page. */
export interface Edition {
  readonly version: string;
  /** When the pages last said something else. */
  readonly date: string;
}
