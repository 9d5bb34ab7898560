/** Results on the device, the newest first; the oldest go when there is no room. */

import { RESULT_FORMAT, type Result } from "../core/result.js";

const KEY = "pams-results";
const MOST_RESULTS = 50;

export function loadResults(): Result[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((result) => result?.format === RESULT_FORMAT) : [];
  } catch {
    return []; // no storage in this browser mode, or not ours
  }
}

/** Store what fits; says whether everything did. */
export function storeResults(results: Result[]): boolean {
  for (let count = Math.min(results.length, MOST_RESULTS); count > 0; count = Math.floor(count / 2)) {
    try {
      localStorage.setItem(KEY, JSON.stringify(results.slice(0, count)));
      return count === results.length;
    } catch {
      continue; // full: keep the newer half
    }
  }
  try {
    localStorage.removeItem(KEY);
  } catch {
    return false;
  }
  return results.length === 0;
}
