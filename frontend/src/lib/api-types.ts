/**
 * The metrics API's answers under the names the pages use. The shapes come from openapi.json:
 * `make schema` writes api-schema.ts. Absent is null, never 0.
 */
import type { components } from "./api-schema.ts";

type Schemas = components["schemas"];

export const OUTCOMES = [
  "completed",
  "client_error",
  "rejected",
  "upstream_error",
  "timeout",
  "truncated",
  "internal_error",
  "cancelled",
] as const satisfies readonly Schemas["Outcome"][];
export type Outcome = Schemas["Outcome"];

export type Attempt = Schemas["Attempt"];
export type LiveRequest = Schemas["LiveRequest"];
/** As the list and the detail have it; a live one is without attempts and raw usage. */
export type RequestRecord = LiveRequest & Partial<Pick<Schemas["Request"], "attempts" | "usage_raw">>;
export interface RequestPage {
  items: RequestRecord[];
  next_cursor: string | null;
}
export type CostStatus = Schemas["Totals"]["cost_status"] | Schemas["Request"]["cost_status"];

export type Percentiles = Schemas["Percentiles"];
export type Totals = Schemas["Totals"];
export type StripCell = Schemas["Slice"] | null;
export type SummaryGroup = Schemas["Group"];
export type Summary = Schemas["Summary"];
export type Series = Schemas["Series"];
export type MetricSnapshot = Schemas["MetricSnapshot"];
export type Config = Schemas["Configuration"];
export type SetupFacts = Schemas["Setup"];
export type ProxyState = Schemas["Proxy"];
export type StreamState = Schemas["StreamState"];
export type StorageState = Schemas["StorageState"];
/** What does not answer is null, with the reason beside it. */
export type SystemState = Schemas["System"];

/** Where every accepted request is. What is not known is null, with the reason in `unknown`. */
export type Pipeline = Schemas["Pipeline"];
export type PipelineLife = Schemas["PipelineLife"];
export type PipelineNumbers = Schemas["PipelineNumbers"];

/** An upstream that had traffic, as GraphQL answers. */
export interface UpstreamState {
  name: string | null;
  provider: string | null;
  requests: number;
  errors: number;
  error_rate_pct: number | null;
  latency_ms: Pick<Percentiles, "p50" | "p95" | "n">;
}

export type LiveMessage =
  | Schemas["Connected"]
  | Schemas["MetricsMessage"]
  | { type: "requests"; data: RequestRecord[] }
  | Schemas["GapMessage"];
