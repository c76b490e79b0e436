import { system } from './command-line.ts';
import { changeSystem } from './commands.ts';
import { LabFailure } from './failure.ts';
import type { Lab } from './lab.ts';
import { findMarked, mark } from './marked.ts';
import { inhabitantsOf, namespaceIdentity } from './namespaces.ts';

/** Removes the sites that this lab made. */
export async function removeSites(lab: Lab): Promise<void> {
  const { story, namespaces } = lab;
  if (namespaces.size === 0) return;
  story.step('Everything away', 'With a namespace go the TUN device and the end of the cable inside it.');
  for (const [name, identity] of namespaces) await removeSite(lab, name, identity);

  const left = [...namespaces.keys(), ...findMarked(mark).map((pid) => `process ${pid}`)];
  story.expect(left.length === 0, 'nothing is left', `could not be removed: ${left.join(', ')}`);
}

async function removeSite(
  { story, namespaces, caretaker }: Lab,
  name: string,
  identity: number,
): Promise<void> {
  if (namespaceIdentity(name) === identity) {
    noteInhabitants({ story }, name);
    try {
      await changeSystem(story, system(`ip netns delete ${name}`));
    } catch (error) {
      if (!(error instanceof LabFailure)) throw error;
      story.failed(error.message);
      return;
    }
  } else {
    story.note(`the ${name} that this lab made has been removed by somebody else`);
  }
  namespaces.delete(name);
  caretaker.tell({ removed: name });
}

/** Processes that others started in a site, with --keep: it is not for the lab to end them. */
function noteInhabitants({ story }: Pick<Lab, 'story'>, name: string): void {
  for (const { pid, commandLine } of inhabitantsOf(name)) {
    story.note(`${name} loses its name now, and disappears when process ${pid} (${commandLine}) in it ends`);
  }
}
