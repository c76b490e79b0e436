/**
 * An HTTP service that exports the statistics of its tunnel, as JSON and for Prometheus.
 *
 *     node examples/http-service.mjs tun0 192.0.2.1:8000 192.0.2.2:8000 8080
 *     curl http://127.0.0.1:8080/tunnel
 *     curl http://127.0.0.1:8080/metrics
 */
import { createServer } from 'node:http';
import { createTunnel } from 'ttun';

const [device, local, remote, port = '8080'] = process.argv.slice(2);
const tunnel = await createTunnel({ device, local, remote });

const server = createServer((request, response) => {
  // This takes only a few microseconds, so each request can do it.
  const stats = tunnel.stats();
  if (request.url === '/tunnel') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(stats));
  } else if (request.url === '/metrics') {
    response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    response.end(toPrometheus(stats));
  } else {
    response.writeHead(404).end();
  }
});
server.listen(Number(port), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}/tunnel`),
);

process.once('SIGINT', () => tunnel.close());
const end = await tunnel.closed;
console.log(`the tunnel was ${end.reason}`);
server.close();

function toPrometheus({ state, encap, decap }) {
  const drops = [
    ...Object.entries(encap.drops).map(([reason, count]) => [`{direction="sent",reason="${reason}"}`, count]),
    ...Object.entries(decap.drops).map(([reason, count]) => [
      `{direction="received",reason="${reason}"}`,
      count,
    ]),
  ];
  return [
    metric('my_tunnel_up', 'gauge', '1 while the peer answers, or nothing is sent.', [
      ['', state === 'up' || state === 'idle' ? 1 : 0],
    ]),
    metric('my_tunnel_sent_bytes_total', 'counter', 'Bytes of packets sent to the peer.', [
      ['', encap.bytes],
    ]),
    metric('my_tunnel_received_bytes_total', 'counter', 'Bytes of packets received from the peer.', [
      ['', decap.bytes],
    ]),
    metric('my_tunnel_dropped_packets_total', 'counter', 'Packets dropped, by reason.', drops),
  ].join('');
}

function metric(name, type, help, samples) {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
