/** One client of a control socket: its requests are answered one after the other. */
import type { Socket } from 'node:net';
import { TtunError } from '../errors.ts';
import type { TunnelHost } from '../service/host.ts';
import { ControlError } from './error.ts';
import { LineTooLong, linesOf } from './lines.ts';
import { LONGEST_REQUEST, PROTOCOL } from './protocol.ts';
import type { ErrorReply, ProcessReport, ReloadReply, ShowReply } from './protocol.ts';
import { parseRequest } from './request.ts';
import type { Request } from './request.ts';

/**
 * Serves a client until it has no more requests or has gone. An answer is made only when the client has read the one before,
 * so one that does not read costs the memory of one answer.
 */
export async function serve(socket: Socket, host: TunnelHost, about: ProcessReport): Promise<void> {
  // A client may go at any time; the reads and writes below notice it.
  socket.on('error', () => {});
  try {
    for await (const line of linesOf(socket.iterator({ destroyOnReturn: false }), LONGEST_REQUEST)) {
      await send(socket, await answer(line, host, about));
    }
  } catch (error) {
    if (error instanceof LineTooLong) socket.write(toLine(toReply(tooLong())));
  }
  finish(socket);
}

type Reply = ShowReply | ReloadReply | ErrorReply;

/** For a client that is not served at all. */
export function refuse(socket: Socket, error: ControlError): void {
  socket.on('error', () => {});
  socket.write(toLine(toReply(error)));
  finish(socket);
}

/** The client may still be writing, and would not read our last answer if that failed: so it is let write a moment longer. */
function finish(socket: Socket): void {
  socket.end();
  socket.resume();
  const limit = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(limit));
}

const LINGER_MS = 1000;

async function answer(line: string, host: TunnelHost, about: ProcessReport): Promise<Reply> {
  try {
    return await fulfil(parseRequest(line), host, about);
  } catch (error) {
    return toReply(error);
  }
}

async function fulfil({ request }: Request, host: TunnelHost, about: ProcessReport): Promise<Reply> {
  if (request === 'show') return { protocol: PROTOCOL, process: about, tunnels: host.reports() };
  if (host.reload === undefined) {
    throw new ControlError(
      'no-configuration',
      'this process runs by its arguments, so there is no configuration to load anew',
      'end it and start it with other arguments, or write a file for ttun up',
    );
  }
  return { protocol: PROTOCOL, reload: await host.reload() };
}

function toReply(error: unknown): ErrorReply {
  const [code, hint] =
    error instanceof ControlError || error instanceof TtunError
      ? [error.code, error.hint ?? null]
      : ['internal', null];
  const message = error instanceof Error ? error.message : String(error);
  return { protocol: PROTOCOL, error: { code, message, hint } };
}

function tooLong(): ControlError {
  return new ControlError('line-too-long', `a request has at most ${LONGEST_REQUEST} bytes`);
}

function toLine(reply: Reply): string {
  return `${JSON.stringify(reply)}\n`;
}

/** Resolves when the system has taken it, which it does as fast as the client reads. */
function send(socket: Socket, reply: Reply): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(toLine(reply), (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
