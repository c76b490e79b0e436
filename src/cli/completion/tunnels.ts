import { survey } from '../../control/client.ts';

/** The names of all running tunnels that this user may ask, one a line. */
export async function runningTunnels(): Promise<string> {
  const { replies } = await survey();
  const names = replies.flatMap(({ reply }) => reply.tunnels.map(({ name }) => name));
  return [...new Set(names)].map((name) => `${name}\n`).join('');
}
