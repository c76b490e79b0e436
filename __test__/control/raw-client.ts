/** A client that sends any bytes. */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { withLimit } from '../../testbed/wait.ts';

export function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket.off('error', reject).on('error', () => {})));
  });
}

/** Sends data, closes its half, and resolves to the lines received until the server closes the connection. */
export async function ask(path: string, text: string | Buffer): Promise<unknown[]> {
  const socket = await connect(path);
  socket.end(text);
  return answers(socket);
}

/** All lines, up to the end of the connection. */
export async function answers(socket: Socket): Promise<unknown[]> {
  const reading = (async () => {
    let text = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) text += String(chunk);
    return text;
  })();
  const text = await withLimit(reading, 10_000, () => 'the end of the connection');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
}

/** The next line. */
export async function nextLine(socket: Socket): Promise<unknown> {
  const reading = (async () => {
    let text = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (text.includes('\n')) break;
    }
    return text;
  })();
  return JSON.parse(await withLimit(reading, 10_000, () => 'a line'));
}
