/** Text as one word of a shell: `'it'\''s'`. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
