/**
 * From the binding's buffer to the objects that users get. An object made by the binding would take several times as long:
 * each of its properties is a call into Node.
 */
import { getSystemErrorName } from 'node:util';
import type { BindingDescription, BindingTunnel } from '../binding.cjs';
import { figureBuffer } from './figures.ts';
import type { CountName, FigureBuffer } from './figures.ts';
import type { TunnelStats } from './stats.ts';

/** Reads the figures of one tunnel. */
export class StatsReader {
  readonly #binding: BindingTunnel;
  readonly #openedAt: number;
  #description: BindingDescription;

  constructor(binding: BindingTunnel) {
    this.#binding = binding;
    const buffer = figureBuffer();
    binding.readStats(buffer.numbers);
    this.#description = describe(binding);
    this.#openedAt = buffer.measure('timestamp') - buffer.measure('uptimeMs');
  }

  read(): TunnelStats {
    const buffer = figureBuffer();
    const { numbers } = buffer;
    if (this.#binding.readStats(numbers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => numbers[place] ?? 0);
  }

  readExact(): TunnelStats<bigint> {
    const buffer = figureBuffer();
    const { integers } = buffer;
    if (this.#binding.readExactStats(integers)) this.#description = describe(this.#binding);
    return this.#toStats(buffer, (place) => integers[place] ?? 0n);
  }

  #toStats<Count extends number | bigint>(
    buffer: FigureBuffer,
    countAt: (place: number) => Count,
  ): TunnelStats<Count> {
    const { device, socket } = this.#description;
    const { places } = buffer;
    const count = (name: CountName): Count => countAt(places[name]);
    return {
      timestamp: buffer.measure('timestamp'),
      openedAt: this.#openedAt,
      uptimeMs: buffer.measure('uptimeMs'),
      state: buffer.state,
      device: {
        name: device.name,
        index: device.index,
        mtu: buffer.measure('device.mtu'),
        offload: device.offload,
      },
      socket: {
        local: socket.local,
        remote: socket.remote,
        pathMtu: buffer.measureOrNull('socket.pathMtu'),
        segmentsPerSend: buffer.measure('socket.segmentsPerSend'),
        gro: socket.gro,
        receiveBuffer: socket.receiveBuffer,
        sendBuffer: socket.sendBuffer,
        receiveOverflow: count('socket.receiveOverflow'),
        errors: readErrors(buffer, countAt),
      },
      encap: {
        received: count('encap.received'),
        packets: count('encap.packets'),
        bytes: count('encap.bytes'),
        reads: count('encap.reads'),
        sends: count('encap.sends'),
        fragmented: count('encap.fragmented'),
        dropped: count('encap.dropped'),
        drops: {
          'peer-unreachable': count('encap.drops.peer-unreachable'),
          'too-big': count('encap.drops.too-big'),
          'no-buffer-space': count('encap.drops.no-buffer-space'),
          'send-error': count('encap.drops.send-error'),
          'routing-loop': count('encap.drops.routing-loop'),
          malformed: count('encap.drops.malformed'),
          closed: count('encap.drops.closed'),
        },
      },
      decap: {
        received: count('decap.received'),
        packets: count('decap.packets'),
        bytes: count('decap.bytes'),
        receives: count('decap.receives'),
        writes: count('decap.writes'),
        dropped: count('decap.dropped'),
        drops: {
          malformed: count('decap.drops.malformed'),
          empty: count('decap.drops.empty'),
          truncated: count('decap.drops.truncated'),
          'source-not-allowed': count('decap.drops.source-not-allowed'),
          'device-down': count('decap.drops.device-down'),
          'device-error': count('decap.drops.device-error'),
          closed: count('decap.drops.closed'),
        },
        lastAt: buffer.measureOrNull('decap.lastAt'),
      },
    };
  }
}

function describe(binding: BindingTunnel): BindingDescription {
  const description = binding.describe();
  // One object for all snapshots until it changes.
  Object.freeze(description.device.offload);
  return description;
}

function readErrors<Count extends number | bigint>(
  { errorsFrom, numbers }: FigureBuffer,
  countAt: (place: number) => Count,
): Record<string, Count> {
  const errors: Record<string, Count> = {};
  for (let pair = errorsFrom; pair + 1 < numbers.length; pair += 2) {
    const occurred = countAt(pair + 1);
    if (Number(occurred) === 0) break;
    errors[getSystemErrorName(-Number(countAt(pair)))] = occurred;
  }
  return errors;
}
