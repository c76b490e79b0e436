import { parseArgs } from 'node:util';

export interface LabOptions {
  /** Leave everything up until Ctrl-C. */
  keep: boolean;
  /** One JSON document on stdout, the talk on stderr. */
  json: boolean;
  help: boolean;
}

export const labHelp = `Usage: ttun lab [--keep] [--json]

Shows on this machine alone how a tunnel works. Two network namespaces, siteA and siteB, stand for
two hosts joined by a cable; each gets a TUN device, and ttun joins the two devices through UDP.
Every command is printed as it runs. Everything is removed at the end, also on Ctrl-C or failure.

Options:
  --keep      leave everything up to look around, until Ctrl-C
  --json      print one JSON document on stdout when done, and the story on stderr
  -h, --help  print this help

It runs as root, or as an ordinary user where the system allows user namespaces.
Exit status: 0 if everything happened as it should, 1 if not, 2 for wrong usage,
128 + the signal's number if interrupted.
`;

/** @throws {Error} whose message says what is wrong with the arguments. */
export function parseLabOptions(args: string[]): LabOptions {
  const { values } = parseArgs({
    args,
    options: {
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return { keep: values.keep, json: values.json, help: values.help };
}
