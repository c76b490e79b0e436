/** The command line of the bench. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LINK_NAMES } from './links.ts';
import type { Link } from './links.ts';

/** What nearly every Linux host runs. */
export const DEFAULT_CONGESTION = 'cubic';

export const HELP = `Usage: npm run bench -- [options]

Compares ttun with other tunnels between two network namespaces on this machine.

  --link NAME          only this link (repeatable): ${LINK_NAMES.slice(0, 3).join(', ')},
                       ${LINK_NAMES.slice(3).join(', ')}
  --only NAME          only this contender (repeatable, or separated by commas);
                       ttun-learn and ttun-busy take part only if named
  --rounds N           number of rounds; every contender runs once in each (default 3)
  --seconds N          length of a TCP run on a fast link; a UDP run takes two
                       thirds of it, a run on a slow link three times as long
                       and 2 s (default 3)
  --congestion NAME    TCP congestion control (default ${DEFAULT_CONGESTION})
  --quick              one round of one second, without contenders that have no target
  --ttun LABEL=DIR     another ttun, from a checkout that is built (repeatable);
                       the label "before" adds targets relative to it
  --stats              instead, measure the cost of reading the statistics of a tunnel
  --json FILE          file for the results of each round (default bench/results/<time>.json)
`;

export interface Checkout {
  readonly label: string;
  readonly directory: string;
}

export interface Options {
  readonly links: readonly Link[];
  /** Empty: all. */
  readonly only: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly congestion: string;
  readonly quick: boolean;
  readonly checkouts: readonly Checkout[];
  /** The subject of the measurement. */
  readonly subject: 'contenders' | 'stats';
  readonly json: string;
}

/** Invalid arguments; the message is for the user. */
export class OptionError extends Error {}

/** `null` if help was requested. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = readValues(args);
  if (values.help) return null;
  const usual = values.quick ? 1 : 3;
  const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
  return {
    links: values.link.map(parseLink),
    only: values.only.flatMap((names) => names.split(',')),
    rounds: positive('--rounds', values.rounds, usual),
    seconds: positive('--seconds', values.seconds, usual),
    congestion: values.congestion,
    quick: values.quick,
    checkouts: values.ttun.map(parseCheckout),
    subject: values.stats ? 'stats' : 'contenders',
    json: resolve(values.json ?? `bench/results/${time}.json`),
  };
}

function readValues(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        link: { type: 'string', multiple: true, default: [...LINK_NAMES] },
        only: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        congestion: { type: 'string', default: DEFAULT_CONGESTION },
        quick: { type: 'boolean', default: false },
        ttun: { type: 'string', multiple: true, default: [] },
        stats: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}

function parseLink(link: string): Link {
  const known = LINK_NAMES.find((candidate) => candidate === link);
  if (known === undefined) throw new OptionError(`--link ${link}: must be one of ${LINK_NAMES.join(', ')}`);
  return known;
}

function parseCheckout(argument: string): Checkout {
  const [, label, directory] = /^([\w.]+)=(.+)$/.exec(argument) ?? [];
  if (label === undefined || directory === undefined || label === 'ttun') {
    throw new OptionError(`--ttun ${argument}: must be LABEL=DIRECTORY, with a label other than ttun`);
  }
  return { label, directory: resolve(directory) };
}

function positive(option: string, text: string | undefined, usual: number): number {
  const value = text === undefined ? usual : Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new OptionError(`${option} ${text}: must be a whole number from 1`);
  }
  return value;
}
