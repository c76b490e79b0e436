import { connect } from 'node:net';

/**
 * knock <address>: what ping does, for machines without ping. Node has no ICMP sockets, so this asks for a TCP connection to a
 * port where nobody listens: the refusal (RST, RFC 9293 section 3.10.7.1) proves that a packet went there and one came back.
 * It gives no time: most of it would be Node's own.
 */
const [, , host = ''] = process.argv;
const closedPort = 7;
const patience = 1000;

const socket = connect({ host, port: closedPort });
socket.setTimeout(patience);
socket.on('timeout', () => end(`no answer from ${host} within ${patience / 1000} s`, 1));
socket.on('connect', () => answered('a connection'));
socket.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'ECONNREFUSED') answered('a TCP RST');
  else end(`no answer from ${host}: ${error.code}`, 1);
});

function answered(how: string): void {
  end(`${host} answered with ${how}`, 0);
}

function end(line: string, exitCode: number): void {
  process.stdout.write(`${line}\n`);
  process.exitCode = exitCode;
  socket.destroy();
}
