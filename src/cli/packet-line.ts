import type { BindingPacket } from '../../binding.cjs';
import { describePacket } from '../decode/packet.ts';
import type { Style } from './style.ts';

/** `12:34:56.789012 Out IP …` and a line feed: local time, and the direction as seen by the host's own stack. */
export function formatPacketLine(
  { outbound, at, length, data }: BindingPacket,
  style: (style: Style, text: string) => string,
): string {
  const direction = outbound ? style('cyan', 'Out') : style('green', 'In ');
  return `${formatTime(at)} ${direction} ${describePacket(data, length)}\n`;
}

/** @param at ms since the epoch, with a fraction */
function formatTime(at: number): string {
  const date = new Date(at);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => padded(part, 2))
    .join(':');
  return `${time}.${padded(Math.floor((at % 1000) * 1000), 6)}`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
