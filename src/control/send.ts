import type { Socket } from 'node:net';

/** Resolves when the system has taken it, which it does as fast as the client reads; rejects when the client has gone. */
export function send(socket: Socket, data: string | Buffer): Promise<void> {
  if (data.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
