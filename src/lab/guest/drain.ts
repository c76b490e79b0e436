import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';

/** drain <address> <port>: reads a TCP connection to its end; prints the bytes and the seconds from the first to the last as JSON. */
const [, , host = '', port = ''] = process.argv;
let bytes = 0;
let begin = 0;

const socket = connect({
  host,
  port: Number(port),
  // One buffer for all reads: allocating a new one for each would measure the allocator.
  onread: {
    buffer: Buffer.alloc(1024 * 1024),
    callback: (length: number) => {
      begin ||= performance.now();
      bytes += length;
      return true;
    },
  },
});
socket.on('end', () => {
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(`${JSON.stringify({ bytes, seconds })}\n`);
});
