import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../testbed/exec.ts';

/** Rejects with promtool's message unless these expressions are valid. */
export async function checkExpressions(expressions: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-promtool-'));
  try {
    const rules = expressions.map((expr, index) => ({ record: `expression:${index}`, expr }));
    const file = join(folder, 'rules.yml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ groups: [{ name: 'expressions', rules }] }));
    await run(['promtool', 'check', 'rules', file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
