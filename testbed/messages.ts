/** Calls and answers between this process and a TypeScript program of ours in a namespace, over Node's channel. */
import type { BackgroundProcess } from './exec.ts';
import { DEFAULT_TIMEOUT_MS, withLimit } from './wait.ts';

/** The arguments and results of the child's functions: anything that structured cloning supports. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: Failure;
}

/** An error's own fields, which cloning an Error leaves behind. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An error that was thrown in the other process; its fields (`code`, `errno`, …) are in `fields`. */
export class RemoteError extends Error {
  readonly fields: Readonly<Record<string, unknown>>;

  constructor({ name, message, fields }: Failure) {
    super(message);
    this.name = name;
    this.fields = fields;
  }

  get code(): unknown {
    return this.fields['code'];
  }
}

/** In the child: answers calls until the parent exits, and then ends the process. */
export function serve(handlers: Handlers): void {
  process.on('message', (call: Call) => {
    void answer(handlers, call).then((reply) => process.connected && process.send?.(reply));
  });
  process.once('disconnect', () => process.exit());
}

async function answer(handlers: Handlers, { id, method, argument }: Call): Promise<Answer> {
  try {
    const handler = handlers[method];
    if (handler === undefined) throw new TypeError(`no function ${method}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `Caller` checked the argument where it was written.
    return { id, value: await handler(argument as never) };
  } catch (error) {
    return { id, error: failureOf(error) };
  }
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} };
  const { name, message } = error;
  return { name, message, fields: Object.fromEntries(Object.entries(error)) };
}

/** In the parent: the functions of a child that `serve`s `H`. */
export class Caller<H extends Handlers> {
  readonly process: BackgroundProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;

  constructor(child: BackgroundProcess) {
    this.process = child;
    child.child.on('message', (reply: Answer) => {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    });
  }

  /** Rejects with a `RemoteError` when the function throws, and plainly when the process ends or does not answer in time. */
  async call<M extends keyof H & string>(
    method: M,
    argument: Parameters<H[M]>[0],
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ): Promise<Awaited<ReturnType<H[M]>>> {
    this.#calls += 1;
    const id = this.#calls;
    const call: Call = { id, method, argument };
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.process.child.send(call);
    const ended = this.process.exited.then(() => {
      throw new Error(`the process ended before it answered ${method}: ${this.process.lines.join('\n')}`);
    });
    const reply = await withLimit(Promise.race([answered, ended]), timeoutMs, () => `an answer to ${method}`);
    if (reply.error !== undefined) throw new RemoteError(reply.error);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the handler that answered is `H[M]`.
    return reply.value as Awaited<ReturnType<H[M]>>;
  }
}
