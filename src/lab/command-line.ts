import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Site } from './sites.ts';

/** What is run, and how it is written for people to read and to type. */
export interface CommandLine {
  argv: readonly string[];
  shown: string;
}

/** A program of the system, shown as it is run. None of the arguments may hold a space. */
export function system(commandLine: string): CommandLine {
  return { argv: commandLine.split(' '), shown: commandLine };
}

/** One of the small Node programs in `guest/`. */
export function guest(name: string, ...args: string[]): CommandLine {
  const path = fileURLToPath(new URL(`./guest/${name}.js`, import.meta.url));
  return {
    argv: [process.execPath, path, ...args],
    shown: ['node', shorter(relative(process.cwd(), path), path), ...args].join(' '),
  };
}

/** This very ttun, shown as users type it. */
export function ttun(...args: string[]): CommandLine {
  const path = fileURLToPath(new URL('../bin.js', import.meta.url));
  return { argv: [process.execPath, path, ...args], shown: ['ttun', ...args].join(' ') };
}

/** The same, inside a site. */
export function inSite(site: Site, { argv, shown }: CommandLine): CommandLine {
  const prefix = ['ip', 'netns', 'exec', site.name];
  return { argv: [...prefix, ...argv], shown: `${prefix.join(' ')} ${shown}` };
}

function shorter(one: string, other: string): string {
  return one.length < other.length ? one : other;
}
