import { changeSystem, inSite, system } from './commands.ts';
import { LabFailure } from './lab.ts';
import type { Lab } from './lab.ts';
import { findMarked, inhabitantsOf, mark, namespaceIdentity } from './namespaces.ts';

/** One end of the lab: a network namespace with a cable (veth) and a TUN device in it. */
export interface Site {
  /** Name of the network namespace. */
  name: string;
  /** Its end of the cable. */
  veth: string;
  /** Its address on the cable, which the tunnel's UDP datagrams use. */
  cableAddress: string;
  /** Its address on the TUN device, which the packets inside the tunnel use. */
  tunnelAddress: string;
}

export const siteA: Site = {
  name: 'siteA',
  veth: 'veth0',
  cableAddress: '10.0.1.1',
  tunnelAddress: '10.0.2.1',
};

export const siteB: Site = {
  name: 'siteB',
  veth: 'veth1',
  cableAddress: '10.0.1.2',
  tunnelAddress: '10.0.2.2',
};

export const sites: readonly Site[] = [siteA, siteB];

/** Both directions, each as sender and receiver. */
export const directions: readonly (readonly [from: Site, to: Site])[] = [
  [siteA, siteB],
  [siteB, siteA],
];

export const tunDevice = 'tun0';

/** UDP port of the tunnel, on both sides. */
export const tunnelPort = 9000;

/** TCP port that the greeting and the lab's own throughput programs use. */
export const tcpPort = 8000;

export function peerOf(site: Site): Site {
  return site === siteA ? siteB : siteA;
}

/** Builds both sites up to the point where only ttun is missing. */
export async function build(lab: Lab): Promise<void> {
  const { story, commands } = lab;

  story.step(
    'Two sites',
    'A network namespace has interfaces, addresses and routes of its own, as a host has.',
  );
  for (const site of sites) await makeNamespace(lab, site);

  story.step(
    'A cable between them',
    'What goes into one end of a veth pair comes out at the other. It is made right inside the sites,',
    'so this machine itself needs no free names veth0 and veth1, and never sees them.',
  );
  await commands.change(
    system(
      `ip link add ${siteA.veth} netns ${siteA.name} type veth peer name ${siteB.veth} netns ${siteB.name}`,
    ),
  );

  story.step(
    'A TUN device in each site',
    'To the kernel it is an interface; what the kernel sends there, a program reads, and the other way round.',
  );
  for (const site of sites) {
    await commands.change(inSite(site, system(`ip tuntap add dev ${tunDevice} mode tun`)));
  }

  story.step(
    'Addresses',
    'One subnet for the cable, another for the tunnel: a packet for the tunnel subnet goes to the TUN device.',
  );
  for (const site of sites) await addAddress(lab, site, site.cableAddress, site.veth);
  for (const site of sites) await addAddress(lab, site, site.tunnelAddress, tunDevice);

  story.step('Everything up', 'The loopback too, so that each site can ping its own addresses.');
  for (const site of sites) {
    for (const device of [site.veth, tunDevice, 'lo']) {
      await commands.change(inSite(site, system(`ip link set dev ${device} up`)));
    }
  }
}

/** The caretaker hears of a namespace before it is there, so that none is lost if the lab is killed at that moment. */
async function makeNamespace({ commands, caretaker, namespaces }: Lab, { name }: Site): Promise<void> {
  caretaker.tell({ owned: name, identity: null });
  try {
    await commands.change(system(`ip netns add ${name}`));
  } catch (error) {
    caretaker.tell({ removed: name });
    throw error;
  }
  const identity = namespaceIdentity(name);
  if (identity === null) return;
  namespaces.set(name, identity);
  caretaker.tell({ owned: name, identity });
}

function addAddress({ commands }: Lab, site: Site, address: string, device: string): Promise<void> {
  return commands.change(inSite(site, system(`ip addr add ${address}/24 dev ${device}`)));
}

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
