/** What the schemas are made of, beside what valibot has. */
import * as v from 'valibot';
import { InvalidValue } from '../../address.ts';

/** What is told of an option, to people and to editors. */
export interface About {
  readonly description?: string;
  /** Right values; the first stands in hints. */
  readonly examples?: readonly unknown[];
  /** Further words of JSON Schema, for editors; what is checked is said by code. */
  readonly [keyword: string]: unknown;
}

/** Makes something of a value; what `parse` refuses by an `InvalidValue` is an issue. */
export function parsedBy<Input, Output>(
  parse: (value: Input) => Output,
): v.RawTransformAction<Input, Output> {
  return v.rawTransform<Input, Output>(({ dataset, addIssue, NEVER }) => {
    try {
      return parse(dataset.value);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      addIssue(issueOf(error));
      return NEVER;
    }
  });
}

/**
 * A check between properties of a table. It runs when these are right, whatever else is wrong, and what it refuses by an
 * `InvalidValue` is an issue of the first of them.
 */
export function checkedBetween<Table extends object, Key extends keyof Table & string>(
  keys: readonly [Key, ...Key[]],
  check: (parts: Pick<Table, Key>) => void,
): v.RawCheckAction<Table> {
  return v.rawCheck<Table>(({ dataset, addIssue }) => {
    const isWrong = (key: Key): boolean =>
      dataset.issues?.some(({ path }) => path?.[0]?.key === key) === true;
    if (!isTable(dataset.value) || keys.some(isWrong)) return;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- untyped, if at all, on account of other properties
    const table = dataset.value as Table;
    try {
      check(table);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      const [key] = keys;
      addIssue({
        ...issueOf(error),
        path: [{ type: 'unknown', origin: 'value', input: table, key, value: table[key] }],
      });
    }
  });
}

/** As valibot carries it: `expected` is what would be right. */
export function issueOf({ message, hint }: InvalidValue): { message: string; expected: string } {
  return { message, expected: hint };
}

/** What TOML calls a table and JSON an object. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A string that means something. */
export function text<Output>(about: About, parse: (text: string) => Output): v.GenericSchema<string, Output> {
  return v.pipe(v.string(), v.metadata(about), parsedBy(parse));
}

/** A switch with what holds when it is not named. */
export function flag(
  description: string,
  fallback: boolean,
): v.OptionalSchema<v.GenericSchema<boolean>, boolean> {
  return v.optional(v.pipe(v.boolean(), v.metadata({ description })), fallback);
}
