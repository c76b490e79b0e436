/** Why there is no native part, and what to type. Loaded only where that has to be told. */
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TtunError } from '../errors.ts';
import { packageVersion } from '../package-version.ts';
import { findInstallation } from './installation.ts';
import { glibcVersion } from './libc.ts';
import type { Failure } from './load.ts';
import { installedPackages, preparedPlatforms } from './packages.ts';
import type { PlatformPackage } from './packages.ts';
import { packageName, platformOfNode } from './platform.ts';
import type { Platform } from './platform.ts';
import { BUILD, commandLine, installCommand, removeCommand } from './remedy.ts';

/** An error with code `ERR_TTUN_NATIVE_MISSING`, whose message and hint are one line each. */
export function explainFailure(failure: Failure): TtunError {
  const { message, hint } = explain(failure);
  const cause = failure.kind === 'refused' ? failure.error : undefined;
  return new TtunError('ERR_TTUN_NATIVE_MISSING', message, { hint, cause });
}

interface Explanation {
  readonly message: string;
  readonly hint: string;
}

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const installation = findInstallation(root);
const isCheckout = installation.kind === 'checkout';
const platform = platformOfNode();
const wanted = packageName(platform);

function explain(failure: Failure): Explanation {
  if (failure.kind === 'absent') return isCheckout ? explainNotBuilt() : explainNotInstalled();
  const { kind, path } = failure;
  const subject = isCheckout ? 'the native part' : wanted;
  if (kind === 'refused') {
    const reason = firstLineOf(failure.error);
    return { message: `${subject} cannot be loaded: ${reason}`, hint: howToLoad(reason, dirname(path)) };
  }
  const message =
    kind === 'flawed'
      ? `${subject} cannot be used: ${path} ${failure.flaw}`
      : `${subject} is of ttun ${failure.version}, and this is ttun ${packageVersion()}`;
  return { message, hint: howToReplace(dirname(path)) };
}

function explainNotBuilt(): Explanation {
  return { message: 'the native part has not been built', hint: `build it with: ${install()}` };
}

function explainNotInstalled(): Explanation {
  const node = `this Node (${inWords(platform)})`;
  const prepared = preparedPlatforms();
  if (!prepared.some((each) => packageName(each) === wanted)) {
    const others = prepared.length === 0 ? '' : `, only for ${prepared.map(inWords).join(', ')}`;
    return { message: `there is no native part for ${node}${others}`, hint: howToBuild() };
  }
  const installed = installedPackages();
  const hollow = installed.find(({ name }) => name === wanted);
  if (hollow !== undefined) {
    const message = `${wanted} cannot be used: there is no native part in ${hollow.folder}`;
    return { message, hint: howToReplace(hollow.folder) };
  }
  const others =
    installed.length === 0 ? 'nor is one for any other' : `only ${installed.map(withPurpose).join(' and ')}`;
  const message = `the native part for ${node}, ${wanted}, is not installed, ${others}`;
  return { message, hint: `install it with: ${install(installed)}` };
}

/** `@ttun/binding-linux-x64-musl 0.1.0, which is for musl`: what tells it from the one that is wanted. */
function withPurpose({ name, version, platform: { cpu, libc } }: PlatformPackage): string {
  if (cpu === platform.cpu) return `${name} ${version}, which is for ${libc}`;
  const purpose = libc === platform.libc ? cpu : inWords({ cpu, libc });
  return `${name} ${version}, which is for ${purpose}`;
}

function inWords({ cpu, libc }: Platform): string {
  return `${cpu} with ${libc}`;
}

/** @param others what is installed for other platforms, maybe since npm took this one for them */
function install(others: readonly PlatformPackage[] = []): string {
  const isOther = (key: keyof Platform): boolean =>
    others.some((each) => each.platform[key] !== platform[key]);
  const keys = (['cpu', 'libc'] as const).filter(isOther);
  const platformOptions = keys.map((key) => `--${key}=${platform[key]}`);
  return installCommand(installation, { root, name: wanted, platformOptions });
}

function howToReplace(folder: string): string {
  if (isCheckout) return `build it again with: ${install()}`;
  // pnpm has links there to where it keeps them.
  return `replace it with: ${removeCommand(realpathSync(folder))} && ${install()}`;
}

/** What the dynamic loader said tells whether another copy would do. */
function howToLoad(reason: string, folder: string): string {
  if (reason.includes('failed to map segment')) {
    return `its file system may be mounted with noexec; see: ${commandLine(['findmnt', '--target', folder])}`;
  }
  return /not found|No such file|undefined symbol/.test(reason) ? howToBuild(reason) : howToReplace(folder);
}

function howToBuild(reason = ''): string {
  if (isCheckout) return `build it again with: ${install()}`;
  const glibc = reason.includes('GLIBC_') ? `, which has glibc ${glibcVersion()}` : '';
  return `build it for this machine${glibc}, in a checkout of ttun: ${BUILD}`;
}

function firstLineOf(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
  return line;
}
