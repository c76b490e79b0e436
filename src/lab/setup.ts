/** Builds the two sites, and removes them again. */
import { changeSystem, inSite, system } from './commands.ts';
import type { Lab } from './lab.ts';
import { findMarked, mark, namespaceInode, occupantsOf } from './namespaces.ts';
import { siteA, siteB, sites, tunDevice } from './sites.ts';
import type { Site } from './sites.ts';
import { LabFailure } from './transcript.ts';

/** Builds both sites, ready for ttun to start. */
export async function buildSites(lab: Lab): Promise<void> {
  const { transcript, commands } = lab;

  transcript.step(
    'Two sites',
    'Each network namespace has its own interfaces, addresses and routes, like a separate host.',
  );
  for (const site of sites) await makeNamespace(lab, site);

  transcript.step(
    'A cable between them',
    'A packet sent into one end of a veth pair comes out of the other. Both ends are created inside the sites,',
    'so they never appear on this machine itself.',
  );
  await commands.change(
    system(
      `ip link add ${siteA.veth} netns ${siteA.name} type veth peer name ${siteB.veth} netns ${siteB.name}`,
    ),
  );

  transcript.step(
    'A TUN device in each site',
    'To the kernel it is a network interface. A program reads the packets sent to it; the kernel receives the packets that the program writes.',
  );
  for (const site of sites) {
    await commands.change(inSite(site, system(`ip tuntap add dev ${tunDevice} mode tun`)));
  }

  transcript.step(
    'Addresses',
    'One subnet for the cable, another for the tunnel: packets for the tunnel subnet go to the TUN device.',
  );
  for (const site of sites) await addAddress(lab, site, site.cableAddress, site.veth);
  for (const site of sites) await addAddress(lab, site, site.tunnelAddress, tunDevice);

  transcript.step(
    'Bring everything up',
    'The loopback interface too, so that each site can ping its own addresses.',
  );
  for (const site of sites) {
    for (const device of [site.veth, tunDevice, 'lo']) {
      await commands.change(inSite(site, system(`ip link set dev ${device} up`)));
    }
  }
}

/** The cleanup process knows of a namespace before it exists, so that none is left behind if the lab is killed at that moment. */
async function makeNamespace({ commands, cleanup, namespaces }: Lab, { name }: Site): Promise<void> {
  cleanup.send({ owned: name, inode: null });
  try {
    await commands.change(system(`ip netns add ${name}`));
  } catch (error) {
    cleanup.send({ removed: name });
    throw error;
  }
  const inode = namespaceInode(name);
  if (inode === null) return;
  namespaces.set(name, inode);
  cleanup.send({ owned: name, inode });
}

function addAddress({ commands }: Lab, site: Site, address: string, device: string): Promise<void> {
  return commands.change(inSite(site, system(`ip addr add ${address}/24 dev ${device}`)));
}

/** Removes the sites that this lab created. */
export async function removeSites(lab: Lab): Promise<void> {
  const { transcript, namespaces } = lab;
  if (namespaces.size === 0) return;
  transcript.step(
    'Clean up',
    'Deleting a namespace also deletes the TUN device and the end of the cable in it.',
  );
  for (const [name, inode] of namespaces) await removeSite(lab, name, inode);

  const left = [...namespaces.keys(), ...findMarked(mark).map((pid) => `process ${pid}`)];
  transcript.expect(left.length === 0, 'nothing is left', `could not be removed: ${left.join(', ')}`);
}

async function removeSite(
  { transcript, namespaces, cleanup }: Lab,
  name: string,
  inode: number,
): Promise<void> {
  if (namespaceInode(name) === inode) {
    noteOccupants({ transcript }, name);
    try {
      await changeSystem(transcript, system(`ip netns delete ${name}`));
    } catch (error) {
      if (!(error instanceof LabFailure)) throw error;
      transcript.failed(error.message);
      return;
    }
  } else {
    transcript.note(`another program has removed the ${name} that this lab created`);
  }
  namespaces.delete(name);
  cleanup.send({ removed: name });
}

/** Other programs' processes in a site, with --keep: the lab does not end them. */
function noteOccupants({ transcript }: Pick<Lab, 'transcript'>, name: string): void {
  for (const { pid, commandLine } of occupantsOf(name)) {
    transcript.note(
      `the name ${name} is removed now; the namespace itself disappears when process ${pid} (${commandLine}) exits`,
    );
  }
}

/** Errors for site names that are taken: the lab never changes namespaces it did not create. Empty when both are free. */
export function describeTakenNames(): string[] {
  const taken = sites.map(({ name }) => name).filter((name) => namespaceInode(name) !== null);
  return taken.flatMap((name) => {
    const occupants = occupantsOf(name);
    const pids = occupants.map(({ pid }) => pid).join(' ');
    return [
      `a network namespace named ${name} already exists, and the lab does not change namespaces it did not create`,
      ...occupants.map(({ pid, commandLine }) => `  in use by process ${pid}: ${commandLine}`),
      `  if you do not need it: ${pids && `kill ${pids}; `}ip netns delete ${name}`,
    ];
  });
}
