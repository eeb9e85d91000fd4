/** Lists of requests that history and the live stream both write to. */
import type { RequestRecord } from "./api-types.ts";

/** Time to first token. An answer in one piece has none: its first byte is nearly its last. */
export function ttftOf(row: RequestRecord): number | null {
  return row.stream === false ? null : row.time_to_first_token_ms;
}

/** Newest first, as the API sorts: by start, then by id. */
export function newestFirst(a: RequestRecord, b: RequestRecord): number {
  if (a.started_at !== b.started_at) return b.started_at - a.started_at;
  return a.request_id < b.request_id ? 1 : a.request_id > b.request_id ? -1 : 0;
}

/** Both lists as one, newest first and without doubles; the first list wins. */
export function merged(
  first: readonly RequestRecord[],
  second: readonly RequestRecord[],
  limit = Infinity,
): RequestRecord[] {
  const seen = new Set<string>();
  const all: RequestRecord[] = [];
  for (const row of [...first, ...second]) {
    if (seen.has(row.request_id)) continue;
    seen.add(row.request_id);
    all.push(row);
  }
  all.sort(newestFirst);
  return all.length > limit ? all.slice(0, limit) : all;
}
