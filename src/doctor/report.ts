/** A diagnosis as text and as JSON. */
import type { Style } from '../terminal.ts';
import type { Diagnosis, Section } from './diagnosis.ts';
import type { Finding, Severity } from './finding.ts';

export interface Page {
  readonly style: (style: Style, text: string) => string;
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean;
}

export function formatDiagnosis({ sections, unchecked }: Diagnosis, page: Page): string {
  const notChecked = unchecked.map(({ what, why }) => `${INDENT}${what}: ${why}`);
  const blocks = [
    ...sections.map((section) => formatSection(section, page)),
    ...(notChecked.length > 0 ? [[page.style('bold', 'not checked'), ...notChecked]] : []),
    [summarise(sections)],
  ];
  return blocks.map((lines) => lines.join('\n')).join('\n\n');
}

/** The number of findings of that severity. */
export function countOf(sections: readonly Section[], severity: Severity): number {
  return sections.flatMap(({ findings }) => findings).filter((found) => found.severity === severity).length;
}

export function toDocument({ sections, unchecked }: Diagnosis): unknown {
  return {
    problems: countOf(sections, 'problem'),
    warnings: countOf(sections, 'warning'),
    findings: sections.flatMap(({ subject, findings }) =>
      findings.map((found) => ({ subject: subject?.title ?? null, ...found })),
    ),
    unchecked,
  };
}

const INDENT = '  ';
const DETAIL = INDENT.repeat(2);
const COMMAND = INDENT.repeat(3);

const MARKS: Readonly<Record<Severity, { unicode: string; ascii: string; style: Style }>> = {
  ok: { unicode: '✓', ascii: '+', style: 'green' },
  note: { unicode: 'i', ascii: 'i', style: 'cyan' },
  warning: { unicode: '!', ascii: '!', style: 'yellow' },
  problem: { unicode: '✗', ascii: 'x', style: 'red' },
};

function formatSection({ subject, findings }: Section, page: Page): string[] {
  const heading = page.style('bold', subject?.title ?? 'this machine');
  return [heading, ...findings.flatMap((found) => formatFinding(found, page))];
}

function formatFinding({ severity, what, why, commands, advice }: Finding, page: Page): string[] {
  const { unicode, ascii, style } = MARKS[severity];
  const mark = page.style(style, page.unicode ? unicode : ascii);
  return [
    `${INDENT}${mark} ${what}`,
    ...(why === null ? [] : [`${DETAIL}${page.style('dim', why)}`]),
    ...commands.map((command) => `${COMMAND}${page.style('bold', command)}`),
    ...(advice === null ? [] : [`${DETAIL}${advice}`]),
  ];
}

function summarise(sections: readonly Section[]): string {
  const counts = (['problem', 'warning', 'note'] as const).flatMap((severity) => {
    const count = countOf(sections, severity);
    return count === 0 ? [] : [`${count} ${severity}${count === 1 ? '' : 's'}`];
  });
  return counts.length === 0 ? 'no problems found' : counts.join(', ');
}
