/** The places a request can be in, in the order of its way. */
import type { PipelineNumbers } from "../../lib/api-types.ts";

/** A line of the table: of one life of a proxy, or of all. */
export type Row = PipelineNumbers & { in_journal_bytes?: number | null; unknown: Record<string, string> };

export interface Place {
  name: keyof PipelineNumbers;
  title: string;
  meaning: string;
  /** More than none is trouble. */
  alarm?: "warn" | "bad";
}

export const PLACES: readonly Place[] = [
  { name: "accepted", title: "accepted", meaning: "Requests let in; each gets exactly one row. At rest the sum of the others" },
  { name: "in_flight", title: "in flight", meaning: "Not finished yet" },
  { name: "in_journal", title: "in journal", meaning: "Finished, on the proxy's disk, not confirmed by Redis yet" },
  { name: "in_stream", title: "in stream", meaning: "In Redis, not stored yet" },
  { name: "stored", title: "stored", meaning: "Rows written to the database, those included that retention has deleted since" },
  { name: "dead_lettered", title: "dead-lettered", meaning: "Could not be stored; kept with the reason in weir:requests:dead", alarm: "warn" },
  { name: "dropped", title: "dropped", meaning: "Given up by a proxy and counted: its journal was full or damaged", alarm: "bad" },
  { name: "unaccounted", title: "unaccounted", meaning: "Nobody knows where they are; must be 0", alarm: "bad" },
];
