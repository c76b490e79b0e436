/** The documented interfaces and the schemas say the same things twice; here the compiler compares them. */
import type * as v from 'valibot';

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
