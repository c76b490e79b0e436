/** What the schemas are made of, beside what valibot has. */
import * as v from 'valibot';
import { InvalidValue } from '../address.ts';

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

// The documented interfaces and the schemas say the same things twice; here the compiler compares them.

/**
 * What a schema takes for `Options`: the same properties, where one that may be absent may also be `undefined`, and nothing
 * is read-only.
 */
export type Written<Options> = Options extends readonly (infer Item)[]
  ? Written<Item>[]
  : Options extends object
    ? {
        -readonly [Key in keyof Options]: object extends Pick<Options, Key>
          ? Written<Options[Key]> | undefined
          : Written<Options[Key]>;
      }
    : Options;

/** A schema for the interface `Options`, which makes `Resolved` of it. */
export type SchemaOf<Options, Resolved> = v.GenericSchema<Written<Options>, Resolved>;

/** Does not compile where the input of the schema is not just what the interface `Options` says. */
export function agreeing<Options>(): <Input, Resolved>(
  schema: v.GenericSchema<Input, Resolved> &
    (Same<Written<Options>, Input> extends true ? SchemaOf<Options, Resolved> : never),
) => SchemaOf<Options, Resolved> {
  return (schema) => schema;
}

/** Assignable both ways, and with the same keys: a missing optional one would pass unnoticed. */
type Same<One, Other> = [One, Other, keyof One] extends [Other, One, keyof Other]
  ? [keyof Other] extends [keyof One]
    ? true
    : false
  : false;

// A schema seen as a tree: what stands at which path.

/** What is looked at of a schema; which properties there are depends on its type. */
export interface SchemaNode extends v.GenericSchema {
  /** Of an object. */
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  /** Of a record. */
  readonly value?: SchemaNode;
  /** Of an array. */
  readonly item?: SchemaNode;
  /** Of a union. */
  readonly options?: readonly SchemaNode[];
  /** Of an optional value. */
  readonly wrapped?: SchemaNode;
  /** Of a literal. */
  readonly literal?: unknown;
}

/** The schema without what says that the value may be absent. */
export function nodeOf(schema: v.GenericSchema): SchemaNode {
  const node: SchemaNode = schema;
  return node.wrapped === undefined ? node : nodeOf(node.wrapped);
}

/** What stands under a key; `undefined` when nothing may. */
export function childOf(node: SchemaNode, key: PropertyKey): SchemaNode | undefined {
  const { entries, item, value } = node;
  if (entries === undefined) {
    const child = item ?? value;
    return child && nodeOf(child);
  }
  const child = Object.hasOwn(entries, key) ? entries[String(key)] : undefined;
  return child && nodeOf(child);
}

/** Whether its value has keys. */
export function isTableNode({ entries, type }: SchemaNode): boolean {
  return entries !== undefined || type === 'record';
}

/** Right values, for hints. */
export function examplesOf(node: SchemaNode): readonly unknown[] {
  const { examples } = v.getMetadata(node);
  return Array.isArray(examples) ? examples : [];
}
