export interface LabOptions {
  /** Leave everything up until Ctrl-C. */
  readonly keep: boolean;
  /** One JSON document on stdout, the talk on stderr. */
  readonly json: boolean;
}
