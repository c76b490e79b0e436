import { inhabitantsOf, namespaceIdentity } from './namespaces.ts';
import { sites } from './sites.ts';

/** What to tell the user when a site's name is taken: the lab never touches what it did not make. Empty when both are free. */
export function describeTakenNames(): string[] {
  const taken = sites.map(({ name }) => name).filter((name) => namespaceIdentity(name) !== null);
  return taken.flatMap((name) => {
    const inhabitants = inhabitantsOf(name);
    const pids = inhabitants.map(({ pid }) => pid).join(' ');
    return [
      `there is a network namespace ${name} already, and the lab does not touch what it did not make`,
      ...inhabitants.map(({ pid, commandLine }) => `  in use by process ${pid}: ${commandLine}`),
      `  if you don't need it: ${pids && `kill ${pids}; `}ip netns delete ${name}`,
    ];
  });
}
