import { inSite, system } from './command-line.ts';
import type { Lab } from './lab.ts';
import { namespaceIdentity } from './namespaces.ts';
import { siteA, siteB, sites, tunDevice } from './sites.ts';
import type { Site } from './sites.ts';

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
