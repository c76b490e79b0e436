/** Something is missing that only the user can supply; the message says what, and what to type. */
export class Stop extends Error {}

/** Runs a script's work. Of a `Stop` the user sees its message alone. */
export async function runScript(work) {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`\n✗ ${error.message}`);
    process.exitCode = 1;
  }
}
