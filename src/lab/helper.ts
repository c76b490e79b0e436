/** The lab's own programs, each started as `node helper.js <role> …` in its own process. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { findMarked, namespaceInode } from './namespaces.ts';
import type { CleanupMessage, HelperRole } from './namespaces.ts';

const ROLES: Readonly<Record<HelperRole, (...args: string[]) => unknown>> = {
  'user-namespace': runInUserNamespace,
  cleanup,
  knock,
  listen,
  send,
  source,
  drain,
};

const [, , role = '', ...args] = process.argv;
await Object.entries(ROLES).find(([name]) => name === role)?.[1](...args);

/** `user-namespace <options>`: the lab itself, as root of a user namespace. */
async function runInUserNamespace(options = ''): Promise<void> {
  const { runAsNamespaceRoot } = await import('./index.ts');
  process.exitCode = await runAsNamespaceRoot(JSON.parse(options));
  // The channel to the parent would keep this process alive.
  if (process.connected) process.disconnect();
}

/** `cleanup <mark>`: removes what the lab of that mark still owns when its end of the pipe closes. */
async function cleanup(mark = ''): Promise<void> {
  const owned = new Map<string, number | null>();
  // Only the end of the lab ends this process.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
  for await (const line of createInterface({ input: process.stdin })) {
    const message: CleanupMessage = JSON.parse(line);
    if ('owned' in message) owned.set(message.owned, message.inode);
    else owned.delete(message.removed);
  }
  if (owned.size > 0) {
    await waitForIp(mark);
    for (const pid of findMarked(mark)) kill(pid);
  }
  for (const [name, inode] of owned) {
    // A null inode: the lab was killed while it created this one, just after it had found the name free.
    if (inode === null || inode === namespaceInode(name)) spawnSync('ip', ['netns', 'delete', name]);
  }
  process.exit();
}

/** An `ip netns add` killed halfway would leave a name without a namespace behind. */
async function waitForIp(mark: string): Promise<void> {
  const limit = AbortSignal.timeout(2000);
  while (!limit.aborted && findMarked(mark).some(isIp)) await delay(10);
}

function isIp(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'ip';
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

/**
 * `knock <address> <seconds>`: replaces ping where it is not installed. Node has no ICMP sockets, so this opens a TCP connection to a
 * port that no program listens on: the refusal (RST, RFC 9293, section 3.10.7.1) proves that a packet got there and one came back.
 * It reports no time: most of it would be Node's own.
 */
function knock(host = '', seconds = ''): void {
  const closedPort = 7;
  const end = (line: string, exitCode: number): void => {
    process.stdout.write(`${line}\n`);
    process.exitCode = exitCode;
    socket.destroy();
  };
  const socket = connect({ host, port: closedPort });
  socket.setTimeout(Number(seconds) * 1000);
  socket.on('timeout', () => end(`no answer from ${host} within ${seconds} s`, 1));
  socket.on('connect', () => end(`${host} answered with a connection`, 0));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') end(`${host} answered with a TCP RST`, 0);
    else end(`no answer from ${host}: ${error.code}`, 1);
  });
}

/** `listen <address> <port>`: prints what one TCP connection sends, like `nc -l`. */
function listen(host = '', port = ''): void {
  const server = createServer((connection) => {
    server.close();
    connection.pipe(process.stdout);
  });
  server.listen(Number(port), host);
}

/** `send <address> <port>`: sends standard input over a TCP connection, like `nc`. */
function send(host = '', port = ''): void {
  const connection = connect(Number(port), host);
  connection.on('error', ({ message }) => {
    process.stderr.write(`${message}\n`);
    process.exit(1);
  });
  process.stdin.pipe(connection);
}

/** `source <address> <port> <seconds>`: sends to one TCP connection as fast as it can for that long. */
function source(host = '', port = '', seconds = ''): void {
  const chunk = Buffer.alloc(1024 * 1024);
  const pour = (connection: Socket, end: number): void => {
    if (Date.now() >= end) connection.end();
    else connection.write(chunk, () => pour(connection, end));
  };
  const server = createServer((connection) => {
    server.close();
    pour(connection, Date.now() + Number(seconds) * 1000);
  });
  server.listen(Number(port), host);
}

/** `drain <address> <port>`: reads a TCP connection to its end; prints the bytes, and the seconds from first to last, as JSON. */
function drain(host = '', port = ''): void {
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
}
