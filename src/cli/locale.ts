/** Whether this user's terminal shows more than ASCII: the first of these that is set decides (locale(7)). */
export function isUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test([LC_ALL, LC_CTYPE, LANG].find((value) => (value ?? '') !== '') ?? '');
}
