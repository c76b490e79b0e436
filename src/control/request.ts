/** The requests that a process understands. */
import { parseCaptureRequest } from './capture/request.ts';
import type { CaptureRequest } from './capture/request.ts';
import { ControlError } from './error.ts';
import { PROTOCOL } from './protocol.ts';

export type Request =
  | { readonly request: 'show' }
  | { readonly request: 'reload' }
  | ({ readonly request: 'capture' } & CaptureRequest);

/** @throws ControlError that says what is wrong with the line */
export function parseRequest(line: string): Request {
  const { protocol, request, ...parameters } = parseObject(line);
  if (protocol !== PROTOCOL) {
    throw new ControlError(
      'unsupported-protocol',
      `this process speaks protocol ${PROTOCOL}, not ${JSON.stringify(protocol) ?? 'one that is not named'}`,
      `send {"protocol":${PROTOCOL},"request":"show"}, or use the ttun of the version that runs`,
    );
  }
  switch (request) {
    case 'show':
    case 'reload':
      refuseParameters(request, parameters);
      return { request };
    case 'capture':
      return { request, ...parseCaptureRequest(parameters) };
    default:
      throw new ControlError(
        'unknown-request',
        `there is no request ${JSON.stringify(request) ?? '(none is given)'}`,
        'the requests are show, reload and capture',
      );
  }
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new ControlError(
    'invalid-request',
    'the line is not a JSON object',
    `send {"protocol":${PROTOCOL},"request":"show"} and a newline`,
  );
}

function refuseParameters(request: string, parameters: Record<string, unknown>): void {
  const [name] = Object.keys(parameters);
  if (name === undefined) return;
  throw new ControlError('invalid-request', `${request} does not take ${JSON.stringify(name)}`);
}
