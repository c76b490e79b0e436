/** Configuration files: read, checked, and what is wrong with them. */
export { formatProblem, TtunConfigError } from './parse.ts';
export type { ConfigProblem } from './parse.ts';
export { loadConfig } from './load.ts';
export { parseConfig } from './parse.ts';
export type { Config, ConfigFormat, ParseSettings } from './parse.ts';
