/** What a metric is. */

export interface Metric<Subject> {
  /** Ends in its unit, and in `_total` if it counts (https://prometheus.io/docs/practices/naming/). */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  /** Of one sample; `null` for a bare 0 or 1. */
  readonly unit: string | null;
  /** One sentence without line breaks. */
  readonly help: string;
  /** Names of its labels, in the order in which they are written. */
  readonly labels: readonly string[];
  /** Its samples, with the values of the labels in their order. None where it means nothing. */
  readonly samples: (subject: Subject) => readonly Sample[];
}

export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}
