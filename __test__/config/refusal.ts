import { parseConfig, TtunConfigError } from '../../src/index.ts';
import type { ConfigFormat } from '../../src/index.ts';

/** The problems of a text, as `line: path: message`, each with its hint below. */
export function problemsOf(text: string, format: ConfigFormat = 'toml'): string[] {
  return refusalOf(text, format).problems.map(
    ({ line, path, message, hint }) => `${line}: ${path}: ${message}\n  ${hint}`,
  );
}

export function refusalOf(text: string, format: ConfigFormat = 'toml'): TtunConfigError {
  try {
    parseConfig(text, { format });
  } catch (error) {
    if (error instanceof TtunConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
