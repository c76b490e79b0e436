import { InvalidValue } from './address.ts';

/** Checks the name of a TUN device. */
export function parseDeviceName(name: string): string {
  return parseInterfaceName(name, 'give the name of a TUN device, as shown by: ip tuntap');
}

/**
 * Checks a name by the rules of the kernel for interfaces (dev_valid_name in net/core/dev.c).
 *
 * @param right what would be right, for the error
 * @throws InvalidValue
 */
export function parseInterfaceName(name: string, right: string): string {
  if (name === '') throw new InvalidValue('the name is empty', right);
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME) {
    throw new InvalidValue(`'${name}' is longer than the 15 bytes that an interface's name may have`, right);
  }
  if (name === '.' || name === '..' || bytes.some((byte) => FORBIDDEN.has(byte)) || INVISIBLE.test(name)) {
    throw new InvalidValue(`${JSON.stringify(name)} is not a name that an interface can have`, right);
  }
  return name;
}

/** IFNAMSIZ less the final zero byte. */
const LONGEST_NAME = 15;

/** 0xA0 is a space to the kernel (lib/ctype.c), and `%` the place of a number that it chooses (dev_alloc_name). */
const FORBIDDEN: ReadonlySet<number> = new Set([...Buffer.from('\0\t\n\v\f\r %/:'), 0xa0]);

/** The kernel would take these; a terminal would take them for commands. */
const INVISIBLE = /[\p{Cc}\p{Cf}]/u;
