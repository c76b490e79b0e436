import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Answers one request of a connection at a time. HTTP lets a client ask on before it has the answer (RFC 9112, section 9.3.2),
 * which no browser and no Prometheus does; and who never takes the answers could have us hold thousands of them. So that
 * connection is ended.
 */
export function oneAtATime(answer: RequestListener): RequestListener {
  const answering = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (answering.has(socket)) {
      socket.destroy();
      return;
    }
    answering.add(socket);
    response.once('finish', () => answering.delete(socket));
    answer(request, response);
  };
}
