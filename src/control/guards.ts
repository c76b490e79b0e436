/** Checks of values that came from elsewhere, put together as their types are. */

export type Guard<T> = (value: unknown) => value is T;

export const isText: Guard<string> = (value) => typeof value === 'string';
export const isNumber: Guard<number> = (value) => typeof value === 'number';
export const isFlag: Guard<boolean> = (value) => typeof value === 'boolean';

export function nullOr<T>(guard: Guard<T>): Guard<T | null> {
  return (value): value is T | null => value === null || guard(value);
}

export function oneOf<T extends string | number>(...words: readonly T[]): Guard<T> {
  return (value): value is T => words.some((word) => word === value);
}

export function listOf<T>(guard: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every((item) => guard(item));
}

/** An object with any keys: those of another version are as good as ours. */
export function recordOf<T, Key extends string = string>(guard: Guard<T>): Guard<Readonly<Record<Key, T>>> {
  return (value): value is Readonly<Record<Key, T>> =>
    isObject(value) && Object.values(value).every((item) => guard(item));
}

/** An object with these fields; it may have more. */
export function objectWith<T extends object>(fields: {
  readonly [Key in keyof T]-?: Guard<T[Key]>;
}): Guard<T> {
  const checks = Object.entries<Guard<unknown>>(fields);
  return (value): value is T =>
    isObject(value) && checks.every(([key, guard]) => Object.hasOwn(value, key) && guard(value[key]));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
