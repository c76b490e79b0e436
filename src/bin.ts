#!/usr/bin/env node
import { hintForLimit } from './errors.ts';

/** In a function, as bundles in CommonJS, which single executables need, have no top-level await. */
async function run(): Promise<void> {
  try {
    const { main } = await import('./cli/main.ts');
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    const hint = hintForLimit(error);
    if (hint === null) throw error;
    process.stderr.write(`ttun: ${error instanceof Error ? error.message : String(error)}; ${hint}\n`);
    process.exitCode = 1;
  }
}

void run();
