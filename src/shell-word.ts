/** Text as one word of a shell, as it is where that will do: `it`, `'it'\''s'`. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./^-]+$/.test(text) ? text : quote(text);
}

/** Text as one word of a shell, in quotes: `'it'\''s'`. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
