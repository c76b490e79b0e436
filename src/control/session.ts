/** One client of a control socket: its requests are answered one after the other. */
import type { Socket } from 'node:net';
import { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelHost } from '../service/host.ts';
import type { CaptureRequest } from './capture/request.ts';
import type { Capture } from './capture/stream.ts';
import { ControlError } from './error.ts';
import { LineTooLong, linesOf } from './lines.ts';
import { LONGEST_REQUEST, PROTOCOL } from './protocol.ts';
import type { CaptureReply, ErrorReply, ProcessReport, ReloadReply, ShowReply } from './protocol.ts';
import { parseRequest } from './request.ts';
import type { Request } from './request.ts';
import { send } from './send.ts';

export interface Served {
  readonly host: TunnelHost;
  readonly about: ProcessReport;
  /** Resolves when no more requests are to be answered. */
  readonly closing: Promise<void>;
}

/**
 * Serves a client until it has no more requests or has gone. An answer is made only when the client has read the one before,
 * so one that does not read costs the memory of one answer.
 */
export async function serve(socket: Socket, served: Served): Promise<void> {
  // A client may go at any time; the reads and writes below notice it.
  socket.on('error', () => {});
  const lines = linesOf(socket.iterator({ destroyOnReturn: false }), LONGEST_REQUEST);
  try {
    for (;;) {
      const next = await Promise.race([lines.next(), served.closing]);
      if (typeof next?.value !== 'string') break;
      const capture = await answer(socket, next.value, served);
      if (capture === null) continue;
      // Whatever a client sends while it is sent packets ends that.
      const stop = Promise.race([lines.next(), served.closing]);
      await capture.stream(socket, `ttun ${served.about.version}`, stop);
      break;
    }
  } catch (error) {
    if (error instanceof LineTooLong) socket.write(toLine(toReply(tooLong())));
  }
  finish(socket);
}

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

type Reply = ShowReply | ReloadReply | CaptureReply | ErrorReply;

/** Packets are to follow when it returns a capture. */
async function answer(socket: Socket, line: string, served: Served): Promise<Capture | null> {
  let reply: Reply;
  let capture: Capture | null = null;
  try {
    const request = parseRequest(line);
    if (request.request === 'capture') capture = await startCapture(request, served.host);
    reply = await fulfil(request, served);
  } catch (error) {
    reply = toReply(error);
  }
  try {
    await send(socket, toLine(reply));
  } catch (error) {
    capture?.end();
    throw error;
  }
  return capture;
}

async function fulfil(request: Request, { host, about }: Served): Promise<Reply> {
  switch (request.request) {
    case 'show':
      return { protocol: PROTOCOL, process: about, tunnels: host.reports() };
    case 'reload':
      if (host.reload === undefined) throw withoutConfiguration();
      return { protocol: PROTOCOL, reload: await host.reload() };
    default:
      return { protocol: PROTOCOL, capture: { tunnel: request.tunnel, format: 'pcapng' } };
  }
}

async function startCapture(request: CaptureRequest, host: TunnelHost): Promise<Capture> {
  const tunnel = findTunnel(request.tunnel, host);
  const { Capture: Started } = await import('./capture/stream.ts');
  return new Started(tunnel, request);
}

function findTunnel(wanted: string, host: TunnelHost): OpenTunnel {
  const tunnel = host.find(wanted);
  if (tunnel !== undefined && tunnel.stats().state !== 'closed') return tunnel;
  const reports = host.reports();
  const report = reports.find(({ name }) => name === wanted);
  if (report === undefined) {
    const names = reports.map(({ name }) => name).join(', ');
    throw new ControlError(
      'unknown-tunnel',
      `there is no tunnel ${wanted} here, but ${names || 'none at all'}`,
    );
  }
  const { message, hint } = report.problem ?? { message: 'it has not been opened yet', hint: null };
  throw new ControlError('tunnel-not-open', `${wanted} is not open: ${message}`, hint);
}

function withoutConfiguration(): ControlError {
  return new ControlError(
    'no-configuration',
    'this process runs by its arguments, so there is no configuration to load anew',
    'end it and start it with other arguments, or write a file for ttun up',
  );
}

function tooLong(): ControlError {
  return new ControlError('line-too-long', `a request has at most ${LONGEST_REQUEST} bytes`);
}

function toReply(error: unknown): ErrorReply {
  const [code, hint] =
    error instanceof ControlError || error instanceof TtunError
      ? [error.code, error.hint ?? null]
      : ['internal', null];
  const message = error instanceof Error ? error.message : String(error);
  return { protocol: PROTOCOL, error: { code, message, hint } };
}

function toLine(reply: Reply): string {
  return `${JSON.stringify(reply)}\n`;
}
