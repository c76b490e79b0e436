import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { run } from '../../testbed/exec.ts';
import { runtimeDependencies } from '../../scripts/lib/dependencies.mjs';
import { PLATFORMS as PLATFORM_LIST } from '../../scripts/lib/platforms.mjs';
import { REGISTRY } from './runtimes.ts';
import { sum, unpackAll } from './tarballs.ts';
import type { Manifest, Tarball } from './tarballs.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PLATFORMS = PLATFORM_LIST.map(({ name }) => name);
const CHECKS = join(ROOT, 'tools', 'packages', 'node_modules', '.bin');

/** Bytes. */
const LIMITS = { root: 1_000_000, native: 2_500_000, installed: 8_000_000 };

/** That of the oldest system on which a supported Node runs. */
const OLDEST_GLIBC = 28;

let packages: Awaited<ReturnType<typeof unpackAll>>;
let all: readonly Tarball[];
test.before(async () => {
  packages = await unpackAll();
  all = [packages.root, ...packages.platforms.values()];
});
test.after.always(() => Promise.all(all.map(({ folder }) => rm(folder, { recursive: true }))));

const native = (platform: string): { tarball: Tarball; path: string } => {
  const tarball = packages.platforms.get(platform);
  if (tarball === undefined) throw new Error(`no tarball for ${platform}`);
  return { tarball, path: join(tarball.folder, tarball.manifest.main ?? '') };
};

test('no package is larger than its limit', async (t) => {
  t.log(
    `${packages.root.name}: ${packages.root.size} bytes unpacked, in ${packages.root.files.length} files`,
  );
  t.true(packages.root.size < LIMITS.root);
  for (const platform of PLATFORMS) {
    const { size } = await stat(native(platform).path);
    t.log(`${platform}: ${size} bytes`);
    t.true(size < LIMITS.native, platform);
  }
});

test('everything that npm installs, for one platform, is small', async (t) => {
  await using user = await EmptyProject.create({ registry: REGISTRY });
  await user.npmInstall('ttun');
  const modules = join(user.folder, 'node_modules');
  const files = (await readdir(modules, { recursive: true, withFileTypes: true })).filter((file) =>
    file.isFile(),
  );
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  );
  t.log(`${sum(sizes)} bytes in ${sizes.length} files`);
  t.true(sum(sizes) < LIMITS.installed);

  const scoped = (await readdir(join(modules, '@ttun'))).map((name) => `@ttun/${name}`);
  const installed = (await readdir(modules)).filter((name) => !/^[.@]/.test(name));
  t.deepEqual(
    [...installed, ...scoped].sort(),
    ['ttun', ...runtimeDependencies(), '@ttun/binding-linux-x64-gnu'].sort(),
    'and nothing else',
  );
});

test('every file that a manifest names is there, and no sources or tests', (t) => {
  for (const { name, manifest, files } of all) {
    const there = files.map((file) => file.name);
    for (const named of namedIn(manifest)) {
      t.true(
        there.some((file) => file === named || file.startsWith(`${named}/`)),
        `${name} holds ${named}`,
      );
    }
    t.deepEqual(
      there.filter((file) => /test|\.map$|(?<!\.d)\.[cm]?ts$|\.rs$/.test(file)),
      [],
      name,
    );
  }
});

function namedIn({ main, files, bin = {}, man = [], exports = {} }: Manifest): string[] {
  const exported = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  const named = [main, ...files, ...Object.values(bin), ...man, ...exported];
  return named.filter((file) => file !== undefined).map((file) => file.replace(/^\.\//, ''));
}

test('no file names the place where it was built, or a source map', async (t) => {
  const places = [
    ROOT,
    homedir(),
    process.env['CARGO_HOME'],
    '/rustlib/',
    '/registry/src/',
    'sourceMappingURL',
  ];
  for (const { name, files } of all) {
    for (const file of files) {
      const content = await readFile(file.path, 'latin1');
      for (const place of places.filter((text) => text !== undefined)) {
        t.false(content.includes(place), `${name}: ${file.name} names ${place}`);
      }
    }
  }
});

test('the package depends on each platform package in exactly its own version', (t) => {
  const { manifest } = packages.root;
  t.deepEqual(
    manifest.optionalDependencies,
    Object.fromEntries(PLATFORMS.map((platform) => [`@ttun/binding-${platform}`, manifest.version])),
  );
  for (const platform of PLATFORMS) {
    const { name, version, os, cpu, libc } = native(platform).tarball.manifest;
    const [system, processor, abi] = platform.split('-');
    t.deepEqual(
      { name, version, os, cpu, libc },
      {
        name: `@ttun/binding-${platform}`,
        version: manifest.version,
        os: [system],
        cpu: [processor],
        libc: [abi === 'gnu' ? 'glibc' : 'musl'],
      },
    );
  }
});

for (const platform of PLATFORMS.filter((name) => name.endsWith('-gnu'))) {
  test(`${platform}: every glibc symbol it needs is in glibc 2.${OLDEST_GLIBC}`, async (t) => {
    const { stdout } = await run(['readelf', '--version-info', '--wide', native(platform).path]);
    const wanted = [...stdout.matchAll(/Name: GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    t.true(wanted.length > 0, 'it needs some');
    t.log(`glibc 2.${Math.max(...wanted)}`);
    t.true(Math.max(...wanted) <= OLDEST_GLIBC);
  });
}

for (const platform of PLATFORMS.filter((name) => name.endsWith('-musl'))) {
  test(`${platform}: it needs no library but musl itself`, async (t) => {
    const { stdout } = await run(['readelf', '--dynamic', '--wide', native(platform).path]);
    const wanted = [...stdout.matchAll(/\(NEEDED\)\s+Shared library: \[(.+)\]/g)].map(
      ([, library]) => library,
    );
    t.deepEqual(wanted, ['libc.so']);
  });
}

for (const platform of PLATFORMS) {
  test(`${platform}: it contains the licences of what is linked into it`, async (t) => {
    const licences = await readFile(
      join(native(platform).tarball.folder, 'THIRD-PARTY-LICENSES.txt'),
      'utf8',
    );
    for (const linked of ['napi', 'tokio', 'tun-rs', 'libc', 'netlink-packet-route']) {
      t.regex(licences, new RegExp(`^${linked} \\d+\\.\\d+\\.\\d+, `, 'm'));
    }
    t.regex(licences, /^The Rust standard library, /m);
    t.notRegex(licences, /^(?:ttun-|napi-derive |proptest |syn )/m, 'neither ours nor those of build tools');
  });

  test(`${platform}: publint finds nothing`, async (t) => {
    t.regex(await publint(native(platform).tarball), /All good!/);
  });
}

test('publint finds nothing in ttun', async (t) => {
  t.regex(await publint(packages.root), /All good!/);
});

async function publint({ path }: Tarball): Promise<string> {
  return (await run([join(CHECKS, 'publint'), 'run', '--strict', path], { timeoutMs: 120_000 })).stdout;
}
