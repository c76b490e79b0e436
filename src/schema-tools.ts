/** Building blocks of the schemas, in addition to those of valibot. */
import * as v from 'valibot';
import { InvalidValue } from './address.ts';

/** The description of an option for people and editors. */
export interface About {
  /** Sentences, with names of other options and of kernel features in backticks. */
  readonly description?: string;
  /** Valid values; the first is shown in hints. */
  readonly examples?: readonly unknown[];
  /** Further keywords of JSON Schema, for editors; they check nothing here. */
  readonly [keyword: string]: unknown;
}

/** A string that is parsed. */
export function text<Output>(about: About, parse: (text: string) => Output): v.GenericSchema<string, Output> {
  return v.pipe(v.string(), v.metadata(about), parsedBy(parse));
}

/** A switch with its default. */
export function flag(
  description: string,
  fallback: boolean,
): v.OptionalSchema<v.GenericSchema<boolean>, boolean> {
  return v.optional(v.pipe(v.boolean(), v.metadata({ description })), fallback);
}

/** An integer in a range; `problem` and `hint` describe one that is not. */
export function integer(
  { minimum, maximum, ...about }: About & { readonly minimum: number; readonly maximum: number },
  problem: string,
  hint = `give a number from ${minimum} to ${maximum}`,
): v.GenericSchema<number> {
  return v.pipe(
    v.number(),
    v.metadata({ ...about, type: 'integer', minimum, maximum }),
    checkedBy((value) => {
      if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
      throw new InvalidValue(`${value} is not ${problem}`, hint);
    }),
  );
}

/** Converts a value; an `InvalidValue` thrown by `parse` becomes an issue. */
export function parsedBy<Input, Output>(
  parse: (value: Input) => Output,
): v.RawTransformAction<Input, Output> {
  return v.rawTransform<Input, Output>(({ dataset, addIssue, NEVER }) => {
    try {
      return parse(dataset.value);
    } catch (error) {
      addIssue(issueOf(error));
      return NEVER;
    }
  });
}

/** Checks a value; an `InvalidValue` thrown by `check` becomes an issue. */
export function checkedBy<Value>(check: (value: Value) => void): v.RawCheckAction<Value> {
  return v.rawCheck<Value>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      check(dataset.value);
    } catch (error) {
      addIssue(issueOf(error));
    }
  });
}

/** Checks that the items of a list differ. `format` makes equal items equal strings. */
export function distinct<Item>(format: (item: Item) => string): v.RawCheckAction<Item[]> {
  return v.rawCheck<Item[]>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { value: input } = dataset;
    const seen = new Set<string>();
    for (const [key, item] of input.entries()) {
      const shown = format(item);
      if (seen.has(shown)) {
        const repeated = new InvalidValue(`'${shown}' is listed twice`, 'remove one of them');
        addIssue({
          ...issueOf(repeated),
          path: [{ type: 'array', origin: 'value', input, key, value: item }],
        });
      }
      seen.add(shown);
    }
  });
}

/**
 * A check across properties of a table. It runs if these are valid, whether or not others are, and an `InvalidValue` thrown
 * by `check` becomes an issue of the first of them.
 */
export function checkedBetween<Table extends object, Key extends keyof Table & string>(
  keys: readonly [Key, ...Key[]],
  check: (parts: Pick<Table, Key>) => void,
): v.RawCheckAction<Table> {
  return v.rawCheck<Table>(({ dataset, addIssue }) => {
    const isWrong = (key: Key): boolean =>
      dataset.issues?.some(({ path }) => path?.[0]?.key === key) === true;
    if (!isTable(dataset.value) || keys.some(isWrong)) return;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- untyped, if at all, because of other properties
    const table = dataset.value as Table;
    try {
      check(table);
    } catch (error) {
      const [key] = keys;
      addIssue({
        ...issueOf(error),
        path: [{ type: 'unknown', origin: 'value', input: table, key, value: table[key] }],
      });
    }
  });
}

/** Gives each option that is absent and has no default the value `null`. */
export function filled<Table extends object>(
  entries: Readonly<Record<keyof Table & string, unknown>>,
): v.TransformAction<Table, Filled<Table>> {
  return v.transform((table: Table) => {
    const values = new Map<string, unknown>(Object.entries(table));
    const all = Object.keys(entries).map((key) => [key, values.get(key) ?? null]);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made of the same keys
    return Object.fromEntries(all) as Filled<Table>;
  });
}

/** `Table` with `null` in place of `undefined`. */
export type Filled<Table> = {
  [Key in keyof Table]-?: undefined extends Table[Key] ? Exclude<Table[Key], undefined> | null : Table[Key];
};

/** In valibot's form: `expected` is the hint. Anything but an `InvalidValue` is a bug and thrown again. */
function issueOf(error: unknown): { message: string; expected: string } {
  if (!(error instanceof InvalidValue)) throw error;
  return { message: error.message, expected: error.hint };
}

/** A table of TOML, an object of JSON. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
