/** Two sites with a router between them, and a configuration file for a tunnel at A. */
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { Patient } from './patient.ts';

export interface Scene extends AsyncDisposable {
  readonly sites: Sites;
  readonly patient: Patient;
  /** Writes a file with one tunnel and further lines for it, and returns the arguments that examine it. */
  readonly file: (lines?: Readonly<Record<string, string>>, table?: string) => Promise<string[]>;
}

/** Without faults. */
export async function scene(): Promise<Scene> {
  const sites = await createSites({ router: true });
  const patient = await Patient.in(sites.a);
  const ends = { local: `${sites.a.outer.ipv4}:9000`, remote: `${sites.b.outer.ipv4}:9000` };
  return {
    sites,
    patient,
    file: async (lines = {}, table = '') => {
      const values = Object.entries({ device: 'tun0', ...ends, ...lines });
      const toml = values.map(([key, value]) => `${key} = ${quote(value)}`).join('\n');
      return ['-c', await patient.configure(`[tunnels.office]\n${toml}\n${table}\n`)];
    },
    [Symbol.asyncDispose]: async () => {
      await patient[Symbol.asyncDispose]();
      await sites[Symbol.asyncDispose]();
    },
  };
}

/** Numbers and lists are written as they are. */
function quote(value: string): string {
  return /^[[\d]/.test(value) && !/[.:]\d+$/.test(value) ? value : `"${value}"`;
}
