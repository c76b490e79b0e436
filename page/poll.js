/** Asks the process for its figures, each second, while somebody looks. */

/** @import { StatsDocument } from '../src/http/routes.ts' */

const EVERY_MS = 1000;
/** A process that does not answer in this time is taken for gone. */
const PATIENCE_MS = 4000;

/**
 * @param {(document: StatsDocument) => void} onAnswer
 * @param {() => void} onFailure
 */
export function poll(onAnswer, onFailure) {
  /** @type {AbortController | null} what ends the asking; `null` while nobody looks */
  let asking = null;

  const follow = () => {
    if (document.hidden) {
      asking?.abort();
      asking = null;
    } else if (asking === null) {
      asking = new AbortController();
      void ask(asking.signal, onAnswer, onFailure);
    }
  };
  document.addEventListener('visibilitychange', follow);
  follow();
}

/**
 * @param {AbortSignal} ended
 * @param {(document: StatsDocument) => void} onAnswer
 * @param {() => void} onFailure
 */
async function ask(ended, onAnswer, onFailure) {
  while (!ended.aborted) {
    const begin = performance.now();
    const answer = await fetchStats();
    if (ended.aborted) return;
    if (answer === null) onFailure();
    else onAnswer(answer);
    await pause(EVERY_MS - (performance.now() - begin));
  }
}

/** @returns {Promise<StatsDocument | null>} `null` when there is no answer */
async function fetchStats() {
  try {
    const response = await fetch('stats', { signal: AbortSignal.timeout(PATIENCE_MS) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, ms));
  });
}
