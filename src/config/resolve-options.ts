import { TtunError } from '../errors.ts';
import { TUNNEL_DEFAULTS } from '../options.ts';
import type { ResolvedOptions, TunnelOptions } from '../options.ts';
import { formatPath } from './document.ts';
import { tunnelSchema } from './schema.ts';
import { asLine, validate } from './validate.ts';
import type { Finding } from './validate.ts';

const SCHEMA = tunnelSchema(TUNNEL_DEFAULTS);

/**
 * Checks options and fills in the defaults.
 *
 * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS` that names everything that is wrong at once
 */
export function resolveOptions(options: TunnelOptions): ResolvedOptions {
  const validated = validate(SCHEMA, options);
  if (validated.findings === undefined) return validated.output;
  throw toError(validated.findings);
}

function toError(findings: readonly Finding[]): TtunError {
  const lines = findings.map(({ path, message }) => asLine(`${formatPath(path) || 'options'}: ${message}`));
  const hint = findings.map((finding) => asLine(finding.hint)).join('; ');
  return new TtunError('ERR_TTUN_INVALID_OPTIONS', lines.join('; '), { hint });
}
