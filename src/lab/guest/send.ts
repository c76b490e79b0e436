import { connect } from 'node:net';

/** send <address> <port>: sends its standard input over a TCP connection, like `nc`. */
const [, , host = '', port = ''] = process.argv;

const connection = connect(Number(port), host);
connection.on('error', ({ message }) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
});
process.stdin.pipe(connection);
