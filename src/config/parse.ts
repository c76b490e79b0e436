/** Configurations: checked text, with every problem at once. */
import { TtunError } from '../errors.ts';
import { findConflicts, findWarnings } from './conflicts.ts';
import type { Reference } from './conflicts.ts';
import { ConfigSyntaxError, formatPath } from './document.ts';
import type { Document } from './document.ts';
import { parseJson } from './json.ts';
import type { TunnelOptions } from '../options.ts';
import { asLine, resolveFile } from './resolve.ts';
import type { Finding } from './resolve.ts';
import type { ResolvedFile } from '../schema.ts';
import { parseToml } from './toml.ts';

/** A valid configuration. */
export interface Config {
  /** The file it was read from; `null` for a text. */
  readonly path: string | null;
  /** Where to serve metrics and the page; `null` for nowhere. */
  readonly http: {
    /** Address and port. */
    readonly listen: string;
  } | null;
  /** The options of the tunnels by name, as written, in the order of the file. */
  readonly tunnels: ReadonlyMap<string, TunnelOptions>;
  /** Settings that work, but are probably mistakes. */
  readonly warnings: readonly ConfigProblem[];
}

/** The formats of configurations; both can express the same. */
export type ConfigFormat = 'toml' | 'json';

/** Settings of `parseConfig`. */
export interface ParseSettings {
  /** The format of the text. */
  readonly format: ConfigFormat;
  /** The file that the text comes from, to be named in errors. */
  readonly path?: string | undefined;
}

/**
 * Checks only the text of a configuration: the interfaces, addresses and users that it names need not exist.
 *
 * @param text the content of the file
 * @param settings its format, and the file that it comes from
 * @throws TtunConfigError with every problem
 */
export function parseConfig(text: string, settings: ParseSettings): Config {
  const { path, value, warnings } = parseResolved(text, settings);
  // Without the parsers' objects, which have no prototype.
  const { http = null, tunnels } = structuredClone(value);
  return { path, http, tunnels: new Map(Object.entries(tunnels)), warnings };
}

/** A configuration as this package itself uses it. */
export interface ResolvedConfig {
  readonly path: string | null;
  /** As written. */
  readonly value: WrittenFile;
  /** As checked, with the defaults filled in. */
  readonly resolved: ResolvedFile;
  readonly warnings: readonly ConfigProblem[];
}

interface WrittenFile {
  readonly http?: { readonly listen: string };
  readonly tunnels: Readonly<Record<string, TunnelOptions>>;
}

/** As `parseConfig`. */
export function parseResolved(text: string, { format, path: named }: ParseSettings): ResolvedConfig {
  const path = named ?? null;
  const document = parseDocument(text, format, path);
  const toProblems = (findings: readonly Finding[]): ConfigProblem[] =>
    findings
      .map((finding) => toProblem(finding, document, path))
      .sort((one, other) => (one.line ?? 0) - (other.line ?? 0));
  const refer: Reference = (other) => {
    const tunnel = asLine(formatPath(other.slice(0, 2)));
    const place = document.places.closest(other);
    return place === undefined ? tunnel : `${tunnel} (line ${place.line})`;
  };

  const { file, findings, tunnels } = resolveFile(document.value, format === 'toml' ? 'table' : 'object');
  const problems = [...findings, ...findConflicts(tunnels, refer)];
  if (file === null || problems.length > 0) throw new TtunConfigError(toProblems(problems));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema has just accepted it
  const value = document.value as WrittenFile;
  return { path, value, resolved: file, warnings: toProblems(findWarnings(tunnels, refer)) };
}

function parseDocument(text: string, format: ConfigFormat, file: string | null): Document {
  const withoutMark = text.replace(/^\uFEFF/, '');
  try {
    return format === 'toml' ? parseToml(withoutMark) : parseJson(withoutMark);
  } catch (error) {
    if (!(error instanceof ConfigSyntaxError)) throw error;
    const { place, message, hint } = error;
    const excerpt = excerptAt(withoutMark.split(/\r?\n/)[place.line - 1] ?? '', place.column);
    const shown = excerpt === '' ? message : `${message}: ${excerpt}`;
    throw new TtunConfigError([{ file, ...place, path: '', message: asLine(shown), hint }]);
  }
}

/** The line with the mistake; of a long one, the part around it. */
function excerptAt(line: string, column: number): string {
  if (line.length <= LONGEST_EXCERPT) return line.trim();
  const start = Math.max(0, column - LONGEST_EXCERPT / 2);
  const part = line.slice(start, start + LONGEST_EXCERPT).trim();
  return `${start > 0 ? '…' : ''}${part}${start + LONGEST_EXCERPT < line.length ? '…' : ''}`;
}

const LONGEST_EXCERPT = 60;

function toProblem(
  { path, message, hint }: Finding,
  { places }: Document,
  file: string | null,
): ConfigProblem {
  const { line, column } = places.closest(path) ?? { line: null, column: null };
  return {
    file,
    line,
    column,
    path: asLine(formatPath(path)),
    message: asLine(message),
    hint: hint === '' ? null : asLine(hint),
  };
}

// Problems, for people and for programs.

/** One problem, or one warning. */
export interface ConfigProblem {
  /** The file as it was named; `null` for a text. */
  readonly file: string | null;
  /** From 1; `null` if the problem concerns the whole file. */
  readonly line: number | null;
  /** From 1, in UTF-16 units; `null` if the problem concerns the whole file. */
  readonly column: number | null;
  /** The key it concerns, such as `tunnels.office.remote`; empty if it concerns none. */
  readonly path: string;
  /** The problem. */
  readonly message: string;
  /** How to fix it. */
  readonly hint: string | null;
}

/**
 * An invalid configuration: `ERR_TTUN_INVALID_CONFIG`. `problems` lists all problems, in the order of the
 * file; `message` has the same as text.
 */
export class TtunConfigError extends TtunError {
  /** All problems, in the order of the file. */
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
 * `ttun.toml:4:10: tunnels.office.remote: the problem`, which editors and CI understand, and the hint on a second line.
 *
 * @param kind goes before the key: `warning`
 */
export function formatProblem({ file, line, column, path, message, hint }: ConfigProblem, kind = ''): string {
  const place = [file, line, column].filter((part) => part !== null).join(':');
  const head = [place, kind, path, message].filter((part) => part !== '').join(': ');
  return hint === null ? head : `${head}\n    ${hint}`;
}
