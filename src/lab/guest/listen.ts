import { createServer } from 'node:net';

/** listen <address> <port>: prints what one TCP connection sends, like `nc -l`. */
const [, , host = '', port = ''] = process.argv;

const server = createServer((connection) => {
  server.close();
  connection.pipe(process.stdout);
});
server.listen(Number(port), host);
