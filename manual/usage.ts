/** The parts of a line that tells how a command is typed. */

export type UsagePart =
  { readonly kind: 'typed'; readonly text: string } | { readonly kind: 'stands-for'; readonly text: string };

/** Cuts `show [--json] [name…]` into what is typed as it is, and what stands for something else; brackets belong to neither. */
export function partsOf(usage: string): (UsagePart | string)[] {
  return usage.split(/([[\]<>|…\s]+)/).map((part, index, all) => {
    if (index % 2 === 1 || part === '') return part.replaceAll(/[<>]/g, '');
    const isName = /[<[]$/.test(all[index - 1] ?? '') && !part.startsWith('-');
    return { kind: isName ? 'stands-for' : 'typed', text: part };
  });
}
