/** Where the time of one request went, from the timings of its record. Pure. */
import type { RequestRecord } from "../../lib/api-types.ts";

export interface Phase {
  key: "queue" | "connect" | "wait" | "first_token" | "generation" | "answer" | "finish";
  label: string;
  meaning: string;
  /** Milliseconds after the request was accepted; end ≥ start. */
  start: number;
  end: number;
  note: string | null;
}

/**
 * Queue, connect and wait are lengths that follow one another; the tokens are marks counted from acceptance. What is
 * not known joins its time to the following phase; figures that disagree by a hair never give a negative length.
 */
export function phasesOf(row: RequestRecord): Phase[] {
  const total = row.duration_ms;
  if (total === null) return [];
  const phases: Phase[] = [];
  let at = 0;
  const until = (mark: number | null, phase: Omit<Phase, "start" | "end" | "note">, note: string | null = null) => {
    if (mark === null) return;
    const end = Math.min(total, Math.max(at, mark));
    phases.push({ ...phase, start: at, end, note });
    at = end;
  };
  const streamed = row.time_to_first_token_ms !== null && row.stream !== false;

  until(row.queue_ms, { key: "queue", label: "queue", meaning: "Admission, limits and routing inside Weir" });
  until(
    row.connect_ms === null ? null : at + row.connect_ms,
    { key: "connect", label: "connect", meaning: "Opening a connection to the upstream" },
    row.connect_ms === 0 ? "reused" : null,
  );
  until(row.upstream_headers_ms === null ? null : at + row.upstream_headers_ms, { key: "wait", label: "wait", meaning: "Request sent until the upstream's response headers" });
  if (streamed) {
    until(row.time_to_first_token_ms, { key: "first_token", label: "first token", meaning: "Response headers until the first content token" });
    until(row.time_to_last_token_ms, { key: "generation", label: "generation", meaning: "First until last content token" }, generationNote(row));
  } else if (row.upstream_headers_ms !== null) {
    until(total, { key: "answer", label: "answer", meaning: "Response headers until the last byte; not streamed" });
  }
  if (total - at > 0.0005) {
    const failed = row.outcome !== "completed" && !streamed;
    until(total, failed ? { key: "wait", label: "until the end", meaning: "Until the request ended without an answer" } : { key: "finish", label: "finish", meaning: "Last token until the last byte was handed over" });
  }
  return phases;
}

function generationNote(row: RequestRecord): string | null {
  return row.max_token_gap_ms === null ? null : `longest gap ${Math.round(row.max_token_gap_ms)}\u2009ms`;
}
