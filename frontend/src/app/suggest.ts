/** What could be typed next in the filter bar. */
import { FILTER_KEYS, formatClause, type FilterKey } from "../lib/filter.ts";

const MOST = 12;

export function suggest(text: string, known: (key: FilterKey) => string[]): string[] {
  const colon = text.indexOf(":");
  if (colon < 0) return FILTER_KEYS.filter((key) => key.startsWith(text.trim().toLowerCase())).map((key) => `${key}:`);
  const key = FILTER_KEYS.find((candidate) => candidate === text.slice(0, colon).trim());
  if (!key) return [];
  const begun = text.slice(colon + 1).toLowerCase();
  return known(key)
    .filter((value) => value.toLowerCase().includes(begun) && value.toLowerCase() !== begun)
    .slice(0, MOST)
    .map((value) => formatClause(key, [value]));
}
