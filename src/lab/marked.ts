import { readFileSync, readdirSync } from 'node:fs';
import { randomUUID } from 'node:crypto';

/** Environment variable that every process started by a lab carries, so that they can be told from anybody else's. */
const variable = 'TTUN_LAB';

/** This lab's own value of it. */
export const mark: string = randomUUID();

export function markedEnvironment(): NodeJS.ProcessEnv {
  // Tools are read by this program, so they had better speak one language.
  return { ...process.env, LC_ALL: 'C', [variable]: mark };
}

/** Processes that carry the mark of a lab, wherever they are by now in the tree of processes. */
export function findMarked(of: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => readEnvironment(pid).includes(`${variable}=${of}`))
    .map(Number);
}

function readEnvironment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    // It has ended meanwhile, or belongs to somebody else.
    return [];
  }
}
