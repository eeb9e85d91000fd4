/** What the state of Weir itself means, in words. */
import type { Pipeline, SystemState } from "./api-types.ts";
import * as fmt from "./fmt.ts";

export type Grade = "ok" | "warn" | "bad";
export interface Verdict {
  grade: Grade;
  word: string;
  /** Why, and what to do; nothing to add where all is well. */
  why?: string;
}

/** Seconds behind from which it is worth a word. */
export const BEHIND_S = 30;
/** A proxy that has not been heard of for so long, ms. */
export const QUIET_MS = 5_000;

const OK: Verdict = { grade: "ok", word: "ok" };

export function streamVerdict(state: SystemState): Verdict {
  const { stream } = state;
  if (!stream) return { grade: "bad", word: "Redis away", why: `${state.stream_error}. Records wait in the proxies' journals; nothing is lost while they have room.` };
  if (stream.consumers === 0) return { grade: "warn", word: "nobody reads", why: "No metrics API has read from the stream yet." };
  if (stream.lag_seconds > BEHIND_S) return { grade: "warn", word: "behind", why: `The oldest record that is not stored waits for ${fmt.duration(stream.lag_seconds * 1000)}.` };
  if (stream.dead_letters > 0) {
    const what = stream.dead_letters === 1 ? "One entry" : `${fmt.exact(stream.dead_letters)} entries`;
    return { grade: "warn", word: "dead letters", why: `${what} could not be read and are kept in weir:requests:dead with the reason.` };
  }
  return OK;
}

export function storageVerdict(state: SystemState): Verdict {
  return state.storage ? OK : { grade: "bad", word: "away", why: `${state.storage_error}. Records wait in the stream and are stored once it is back.` };
}

export function proxiesVerdict(state: SystemState): Verdict {
  const { proxies } = state;
  if (!proxies) return { grade: "bad", word: "unknown", why: `Proxies report through Redis, which is away: ${state.proxies_error}.` };
  if (proxies.length === 0) return { grade: "warn", word: "none reports", why: "Start one with `weir proxy`, with the same REDIS_URL as the metrics API." };
  const dropped = proxies.reduce((sum, proxy) => sum + proxy.dropped, 0);
  if (dropped > 0) return { grade: "bad", word: "records dropped", why: `${fmt.exact(dropped)} records were dropped because a journal was full or could not be written; see WEIR_JOURNAL_MAX_BYTES.` };
  const quiet = proxies.find((proxy) => proxy.age_ms > QUIET_MS);
  if (quiet) return { grade: "warn", word: "one is silent", why: `${quiet.proxy_id} was last heard of ${fmt.duration(quiet.age_ms)} ago.` };
  return OK;
}

/** Whether every accepted request is where it may be. Not to know is not an alarm. */
export function pipelineVerdict({ total: { unaccounted }, unknown }: Pipeline): Verdict {
  if (unaccounted === 0) return { grade: "ok", word: "all accounted for" };
  if (unaccounted === null) return { grade: "warn", word: "not known now", why: unknown["unaccounted"] ?? "The metrics API does not say." };
  const what = unaccounted === 1 ? "One request was" : `${fmt.exact(unaccounted)} requests were`;
  return {
    grade: "bad",
    word: `${fmt.exact(unaccounted)} unaccounted for`,
    why: `${what} accepted and can be found nowhere: not on the disk of a proxy, not in Redis, not in the database. The log of the metrics API names the proxies.`,
  };
}

/** The worst of all, for the status bar. */
export function worst(state: SystemState): Verdict {
  const all = [storageVerdict(state), streamVerdict(state), proxiesVerdict(state)];
  return all.find(({ grade }) => grade === "bad") ?? all.find(({ grade }) => grade === "warn") ?? OK;
}
