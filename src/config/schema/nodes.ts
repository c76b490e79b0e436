/** A schema seen as a tree: what stands at which path. */
import * as v from 'valibot';

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
