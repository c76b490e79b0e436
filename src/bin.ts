#!/usr/bin/env node
import { main } from './cli/main.ts';

/** In a function, as bundles in CommonJS, which single executables need, have no top-level await. */
async function run(): Promise<void> {
  process.exitCode = await main(process.argv.slice(2));
}

void run();
