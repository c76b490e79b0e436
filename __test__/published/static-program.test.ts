import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { run } from '../../testbed/exec.ts';

const ARTIFACTS = fileURLToPath(new URL('../../artifacts/', import.meta.url));

for (const [file, target, runner] of [
  ['ttun-linux-x64', 'x86_64-unknown-linux-musl', []],
  ['ttun-linux-arm64', 'aarch64-unknown-linux-musl', ['qemu-aarch64-static']],
] as const) {
  test(`${file}: it is one static file, does not name the place where it was built, and runs`, async (t) => {
    const program = `${ARTIFACTS}${file}`;
    t.notRegex((await run(['readelf', '--dynamic', '--wide', program])).stdout, /NEEDED/);
    t.notRegex((await run(['readelf', '--program-headers', '--wide', program])).stdout, /INTERP/);
    const { stdout } = await run([...runner, program, '--version']);
    t.regex(stdout, new RegExp(`, without Node, ${target}\n$`));
    const licences = await readFile(`${program}.THIRD-PARTY-LICENSES.txt`, 'utf8');
    t.regex(licences, /^musl libc, MIT$/m);
    t.regex(licences, /^tokio \d/m);
    const { stdout: texts } = await run(['strings', '--all', program]);
    t.notRegex(texts, /\/registry\/src\/|\/rustlib\/|\/root\/|\/home\//);
  });
}
