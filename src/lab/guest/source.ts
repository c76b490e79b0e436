import { createServer } from 'node:net';
import type { Socket } from 'node:net';

/** source <address> <port> <seconds>: sends as fast as it can to one TCP connection, for so long. */
const [, , host = '', port = '', seconds = ''] = process.argv;
const chunk = Buffer.alloc(1024 * 1024);

const server = createServer((connection) => {
  server.close();
  const end = Date.now() + Number(seconds) * 1000;
  pour(connection, end);
});
server.listen(Number(port), host);

function pour(connection: Socket, end: number): void {
  if (Date.now() >= end) connection.end();
  else connection.write(chunk, () => pour(connection, end));
}
