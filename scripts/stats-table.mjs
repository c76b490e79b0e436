/**
 * Makes src/stats-table.ts from the table of statistics in crates/ttun-core/src/stats.rs, as the native part that was just built has it.
 * Part of `npm run build:native`: the types have to be there before TypeScript is compiled.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { root } from './lib/run.mjs';

const { table, states } = builtForThisMachine().statsLayout();
const [top] = table;
const numbers = table.filter(({ kind }) => !['text', 'flag', 'errors', 'section'].includes(kind));

const lines = [
  '// Made by scripts/stats-table.mjs from the table in crates/ttun-core/src/stats.rs.',
  stateType(),
  statsInterface(top),
  ...sections().map(statsInterface),
  ...sections().flatMap(reasonType),
  ratesInterface(),
  ...sections().filter(isCounted).map(sectionRatesInterface),
  descriptionInterface(),
  tableItself(),
  toStatsFunction(),
  toRatesFunction(),
];
const file = join(root, 'src', 'stats-table.ts');
const text = await format(lines.join('\n\n'), { ...(await resolveConfig(file)), filepath: file });
if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);

function builtForThisMachine() {
  const names = readdirSync(root).filter((name) => name.startsWith(`ttun.linux-${process.arch}-`));
  const byAge = names
    .map((name) => join(root, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return createRequire(import.meta.url)(byAge[0]);
}

// Finding one's way in the table.

function nameOf({ path }) {
  return path.slice(path.lastIndexOf('.') + 1);
}

function fieldsOf({ path }) {
  return table.filter(
    (stat) => stat !== top && stat.path === (path === '' ? nameOf(stat) : `${path}.${nameOf(stat)}`),
  );
}

/** Those that have an interface of their own. */
function sections() {
  return fieldsOf(top).filter(({ kind }) => kind === 'section');
}

function typeName({ path }, suffix) {
  return path === '' ? `Tunnel${suffix}` : `${path[0].toUpperCase()}${path.slice(1)}${suffix}`;
}

function isCounted(stat) {
  return stat.kind === 'counter' || stat.kind === 'errors' || isDrops(stat) || fieldsOf(stat).some(isCounted);
}

function isDrops(stat) {
  return stat.kind === 'section' && fieldsOf(stat).some(({ kind }) => kind === 'drop');
}

/** Whether all of it is in the description, which is handed over apart from the numbers. */
function isDescribed(stat) {
  return stat.kind === 'section' ? fieldsOf(stat).every(isDescribed) : ['text', 'flag'].includes(stat.kind);
}

// Types.

function stateType() {
  const state = table.find(({ kind }) => kind === 'state');
  return `${comment(state.help)}\nexport type TunnelState = ${union(states)};`;
}

function statsInterface(section) {
  const generic = section === top || isCounted(section) ? '<Count extends number | bigint = number>' : '';
  return `${comment(section.help)}\nexport interface ${typeName(section, 'Stats')}${generic} {\n${properties(section, statsType)}\n}`;
}

function statsType(stat) {
  switch (stat.kind) {
    case 'counter':
      return 'Count';
    case 'gauge':
      return 'number';
    case 'gauge-if-known':
      return 'number | null';
    case 'state':
      return 'TunnelState';
    case 'text':
      return 'string';
    case 'flag':
      return 'boolean';
    case 'errors':
      return 'Readonly<Record<string, Count>>';
    default:
      if (isDrops(stat)) return `Readonly<Record<${reasonName(stat)}, Count>>`;
      if (stat.path.includes('.')) return `{\n${properties(stat, statsType)}\n}`;
      return `${typeName(stat, 'Stats')}${isCounted(stat) ? '<Count>' : ''}`;
  }
}

function reasonName({ path }) {
  return typeName({ path: path.split('.')[0] }, 'DropReason');
}

function reasonType(section) {
  return fieldsOf(section)
    .filter(isDrops)
    .map((drops) => {
      const reasons = fieldsOf(drops);
      const list = reasons.map((reason) => `- \`${nameOf(reason)}\`: ${reason.help}`);
      const doc = comment([drops.help, '', ...list].join('\n'));
      return `${doc}\nexport type ${reasonName(drops)} =\n  ${union(reasons.map(nameOf))};`;
    });
}

function ratesInterface() {
  const doc =
    'What happened per second between two snapshots of a tunnel: each rate has the name of its counter. Bytes are bytes: times 8 they are bits.';
  const interval = property(
    'intervalMs',
    'number',
    'Time between the two snapshots, in ms of monotonic time. All rates are 0 when it is 0.',
  );
  const rates = sections()
    .filter(isCounted)
    .map((section) => property(nameOf(section), typeName(section, 'Rates'), section.help));
  return `${comment(doc)}\nexport interface TunnelRates {\n${[interval, ...rates].join('\n')}\n}`;
}

function sectionRatesInterface(section) {
  const rates = fieldsOf(section)
    .filter(isCounted)
    .map((stat) => property(nameOf(stat), statsType(stat).replace('Count', 'number'), perSecond(stat.help)));
  return `${comment(perSecond(section.help))}\nexport interface ${typeName(section, 'Rates')} {\n${rates.join('\n')}\n}`;
}

function perSecond(about) {
  const [sentence] = about.split(/\.(?:\s|$)/);
  return `${sentence}, per second.`;
}

function descriptionInterface() {
  const described = (stat) => isDescribed(stat) || fieldsOf(stat).some(described);
  const typeOf = (stat) =>
    stat.kind === 'section'
      ? `{\n${fieldsOf(stat)
          .filter(described)
          .map((field) => `readonly ${nameOf(field)}: ${typeOf(field)};`)
          .join('\n')}\n}`
      : statsType(stat);
  return `/** What is handed over apart from the numbers. */\nexport interface StatsDescription ${typeOf(top)}`;
}

// The table as a value, and the functions that follow it.

function tableItself() {
  return `/** What there is to know of a value, in the words of crates/ttun-core/src/stats/table.rs. */
export interface Stat {
  readonly path: string;
  readonly kind: 'counter' | 'drop' | 'gauge' | 'gauge-if-known' | 'state' | 'text' | 'flag' | 'errors' | 'section';
  readonly unit: string;
  readonly help: string;
  readonly label: string;
  readonly metric: string;
}

export const STATS: readonly Stat[] = ${JSON.stringify(table, null, 2)};

/** In the order of their numbers. */
export const STATES = ${JSON.stringify(states)} as const;`;
}

function toStatsFunction() {
  const value = (stat) => {
    const place = numbers.indexOf(stat);
    if (isDescribed(stat)) return `description.${stat.path}`;
    switch (stat.kind) {
      case 'section':
        return `{\n${fieldsOf(stat)
          .map((field) => `${JSON.stringify(nameOf(field))}: ${value(field)},`)
          .join('\n')}\n}`;
      case 'errors':
        return 'errors';
      case 'state':
        return `STATES[gauge(${place})] ?? 'closed'`;
      case 'gauge':
        return `gauge(${place})`;
      case 'gauge-if-known':
        return `known(gauge(${place}))`;
      default:
        return `count(${place})`;
    }
  };
  return `/** Takes a snapshot out of the binding's buffer. \`gauge\` and \`count\` read a place of it. */
export function toStats<Count extends number | bigint>(
  gauge: (place: number) => number,
  count: (place: number) => Count,
  description: StatsDescription,
  errors: Readonly<Record<string, Count>>,
): TunnelStats<Count> {
  return ${value(top)};
}

function known(gauge: number): number | null {
  return Number.isNaN(gauge) ? null : gauge;
}`;
}

function toRatesFunction() {
  const rate = (stat) => {
    const change = `before?.${stat.path}, after.${stat.path}`;
    if (stat.kind === 'errors') return `each<string>(${change})`;
    if (isDrops(stat)) return `each<${reasonName(stat)}>(${change})`;
    if (stat.kind === 'counter') return `rate(${change})`;
    return `{\n${fieldsOf(stat)
      .filter(isCounted)
      .map((field) => `${nameOf(field)}: ${rate(field)},`)
      .join('\n')}\n}`;
  };
  return `type Snapshot = TunnelStats | TunnelStats<bigint>;
type Counts<Name extends string> = Readonly<Record<Name, number | bigint>>;

/** The rates of all counters. \`rate\` is that of one, \`each\` those of several by name. */
export function toRates(
  before: Snapshot | null,
  after: Snapshot,
  rate: (before: number | bigint | undefined, after: number | bigint) => number,
  each: <Name extends string>(before: Counts<Name> | undefined, after: Counts<Name>) => Record<Name, number>,
): Omit<TunnelRates, 'intervalMs'> {
  return ${rate(top)};
}`;
}

// Text.

function properties(section, typeOf) {
  return fieldsOf(section)
    .map((stat) => property(nameOf(stat), typeOf(stat), withUnit(stat)))
    .join('\n');
}

/** With the unit, where the name of the value does not say it. */
function withUnit({ kind, help, unit }) {
  if (kind === 'gauge-if-known') return `${help} In ${unit}; \`null\` if absent.`;
  return kind === 'gauge' && unit !== '' && unit !== 'datagrams' ? `${help} In ${unit}.` : help;
}

function property(name, type, about) {
  return `${comment(about)}\nreadonly ${name}: ${type};`;
}

function comment(about) {
  if (about.length < 110 && !about.includes('\n')) return `/** ${about} */`;
  const wrapped = about.split('\n').flatMap((line) => line.match(/.{1,110}(?:\s|$)/g) ?? ['']);
  return `/**\n${wrapped.map((line) => ` * ${line}`.trimEnd()).join('\n')}\n */`;
}

function union(names) {
  return names.map((name) => `'${name}'`).join(' | ');
}
