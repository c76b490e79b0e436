import type { Survey } from '../../../control/client.ts';
import type { ShowReply } from '../../../control/protocol.ts';

/** What the processes answered; with names, only their tunnels of these names. */
export function toDocuments({ replies }: Survey, names: readonly string[]): ShowReply[] {
  const documents = replies.map(({ reply }) => reply);
  if (names.length === 0) return documents;
  return documents
    .map((reply) => ({ ...reply, tunnels: reply.tunnels.filter(({ name }) => names.includes(name)) }))
    .filter(({ tunnels }) => tunnels.length > 0);
}
