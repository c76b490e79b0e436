/** Configuration files: what they say, checked, and all that is wrong with them at once. */
import * as v from 'valibot';
import type { ZoneLookup } from '../address.ts';
import { TtunError } from '../errors.ts';
import { FILE_DEFAULTS } from '../options.ts';
import type { TunnelOptions } from '../options.ts';
import { findConflicts, findDoubts } from './check.ts';
import type { NamedTunnel, Reference } from './check.ts';
import { ConfigSyntaxError, formatPath } from './document.ts';
import type { Document } from './document.ts';
import { parseJson } from './json.ts';
import { isTable } from './schema-tools.ts';
import { fileSchema, tunnelSchema } from './schema.ts';
import type { ConfigFile } from './schema.ts';
import { parseToml } from './toml.ts';
import { asLine, excerptAt, validate } from './validate.ts';
import type { Finding } from './validate.ts';

/** A configuration that is right. */
export interface Config {
  /** The file it was read from. */
  readonly path: string | null;
  /** Where metrics and the page are to be served; `null` for nowhere. */
  readonly http: {
    /** Address and port. */
    readonly listen: string;
  } | null;
  /** The options of the tunnels by their names, as they are written, in the order of the file. */
  readonly tunnels: ReadonlyMap<string, TunnelOptions>;
  /** What works, but is hardly meant so. */
  readonly warnings: readonly ConfigProblem[];
}

/** The languages of configurations, which say the same. */
export type ConfigFormat = 'toml' | 'json';

/** What is known of a text besides its content. */
export interface ParseSettings {
  /** Its language. */
  readonly format: ConfigFormat;
  /** The file from which the text comes, for errors. */
  readonly path?: string | undefined;
}

/**
 * Checks the text of a configuration. Nothing but the text counts: not which interfaces, addresses or users there are.
 *
 * @param text what the file holds
 * @param settings what is known of it besides
 * @throws TtunConfigError with all that is wrong
 */
export function parseConfig(text: string, { format, path }: ParseSettings): Config {
  const file = path ?? null;
  const document = parseDocument(text, format, file);
  const toProblems = (findings: readonly Finding[]): ConfigProblem[] =>
    findings.map((finding) => toProblem(finding, document, file));
  const refer: Reference = (other) => {
    const line = document.locate(other)?.line;
    const tunnel = asLine(formatPath(other.slice(0, 2)));
    return line === undefined ? tunnel : `${tunnel} (line ${line})`;
  };

  const zones = zonesByName();
  const { findings = [] } = validate(
    fileSchema(zones),
    document.value,
    format === 'toml' ? 'table' : 'object',
  );
  const tunnels = rightParts(document.value, zones);
  const problems = toProblems([...findings, ...findConflicts(tunnels, refer)]);
  if (problems.length > 0) throw new TtunConfigError(inOrder(problems));

  // Without what the parsers' objects have of their own.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was just found to be right
  const value = structuredClone(document.value) as ConfigFile;
  return {
    path: file,
    http: value.http ?? null,
    tunnels: new Map(Object.entries(value.tunnels)),
    warnings: inOrder(toProblems(findDoubts(tunnels, refer))),
  };
}

function parseDocument(text: string, format: ConfigFormat, file: string | null): Document {
  const withoutMark = text.replace(/^\uFEFF/, '');
  try {
    return format === 'toml' ? parseToml(withoutMark) : parseJson(withoutMark);
  } catch (error) {
    if (!(error instanceof ConfigSyntaxError)) throw error;
    const { line, column, message, hint } = error;
    const excerpt = excerptAt(withoutMark.split(/\r?\n/)[line - 1] ?? '', column);
    const shown = excerpt === '' ? message : `${message}: ${excerpt}`;
    throw new TtunConfigError([{ file, line, column, path: '', message: asLine(shown), hint }]);
  }
}

/** What is right of each tunnel: conflicts are told even where something else is wrong. */
function rightParts(value: unknown, zones: ZoneLookup): NamedTunnel[] {
  const tunnels = isTable(value) ? value['tunnels'] : undefined;
  if (!isTable(tunnels)) return [];
  const schema = tunnelSchema({ zones, ...FILE_DEFAULTS });
  return Object.entries(tunnels).map(([name, written]) => {
    const { output, issues = [] } = v.safeParse(schema, written);
    const wrong = new Set(issues.map(({ path }) => path?.[0]?.key));
    const parts = isTable(output) && !wrong.has(undefined) ? Object.entries(output) : [];
    return { name, options: Object.fromEntries(parts.filter(([key]) => !wrong.has(key))) };
  });
}

function toProblem({ path, message, hint }: Finding, document: Document, file: string | null): ConfigProblem {
  const { line, column } = document.locate(path) ?? { line: null, column: null };
  return {
    file,
    line,
    column,
    path: asLine(formatPath(path)),
    message: asLine(message),
    hint: hint === '' ? null : asLine(hint),
  };
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((one, other) => (one.line ?? 0) - (other.line ?? 0));
}

/** Different numbers for different names: which interfaces there are does not matter yet. */
function zonesByName(): ZoneLookup {
  const names: string[] = [];
  return (zone) => {
    if (!names.includes(zone)) names.push(zone);
    return names.indexOf(zone) + 1;
  };
}

// What is wrong with a configuration, for people and for programs.

/** One thing that is wrong, or that deserves a second look. */
export interface ConfigProblem {
  /** The file as it was named; `null` where the text did not come from one. */
  readonly file: string | null;
  /** From 1; `null` where it concerns the whole file, or the line is not known. */
  readonly line: number | null;
  /** From 1, in UTF-16 units; `null` where only the line is known. */
  readonly column: number | null;
  /** The key it concerns, as `tunnels.office.remote`; empty where it is none. */
  readonly path: string;
  /** What is wrong. */
  readonly message: string;
  /** What would be right. */
  readonly hint: string | null;
}

/**
 * A configuration that cannot be used: `ERR_TTUN_INVALID_CONFIG`. `problems` has everything that is wrong with it, in the order
 * of the file; `message` says the same in lines.
 */
export class TtunConfigError extends TtunError {
  /** All that is wrong, in the order of the file. */
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map((problem) => formatProblem(problem)).join('\n');
    const [first] = problems;
    const heading = `${problems.length} problems in ${first?.file ?? 'the configuration'}:\n`;
    super('ERR_TTUN_INVALID_CONFIG', problems.length > 1 ? `${heading}${lines}` : lines);
    this.problems = problems;
  }
}

/**
 * `ttun.toml:4:10: tunnels.office.remote: what is wrong`, which editors and CI understand, and in a further line what would
 * be right.
 *
 * @param kind stands before the key: `warning`
 */
export function formatProblem({ file, line, column, path, message, hint }: ConfigProblem, kind = ''): string {
  const place = [file, line, column].filter((part) => part !== null).join(':');
  const head = [place, kind, path, message].filter((part) => part !== '').join(': ');
  return hint === null ? head : `${head}\n    ${hint}`;
}
