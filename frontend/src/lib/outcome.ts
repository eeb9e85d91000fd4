/** How a request ended, as people see it: icon, word, colour, and what counts as an error. */
import type { Outcome } from "./api-types.ts";
import type { Filter } from "./filter.ts";

export type Tone = "ok" | "warn" | "bad" | "muted";

export interface OutcomeLook {
  word: string;
  tone: Tone;
  meaning: string;
}

export const OUTCOME_LOOK: Record<Outcome, OutcomeLook> = {
  completed: { word: "completed", tone: "ok", meaning: "The whole answer was handed over." },
  client_error: { word: "client error", tone: "warn", meaning: "The upstream answered 4xx." },
  rejected: { word: "rejected", tone: "warn", meaning: "Weir refused it: unknown model, bad body or a limit." },
  upstream_error: { word: "upstream error", tone: "bad", meaning: "The upstream failed: 5xx, refused or reset." },
  timeout: { word: "timeout", tone: "bad", meaning: "The upstream took longer than a limit allows." },
  truncated: { word: "truncated", tone: "bad", meaning: "The answer broke off after it had begun." },
  internal_error: { word: "internal error", tone: "bad", meaning: "Weir's own fault." },
  cancelled: { word: "cancelled", tone: "muted", meaning: "The client left, or an operator cancelled it." },
};

export const ERROR_OUTCOMES: readonly Outcome[] = ["upstream_error", "timeout", "truncated", "internal_error"];
export const ERROR_FILTER: Filter = { outcome: [...ERROR_OUTCOMES] };

/** An outcome of a newer server is shown by its own name. */
export function lookOf(outcome: string): OutcomeLook {
  const known = (OUTCOME_LOOK as Record<string, OutcomeLook>)[outcome];
  return known ?? { word: outcome.replaceAll("_", " "), tone: "muted", meaning: "An outcome this page does not know." };
}

/** The layers of the traffic chart, from the baseline up. */
export const TRAFFIC_LAYERS: readonly { key: string; label: string; color: string; outcomes: readonly Outcome[] }[] = [
  { key: "completed", label: "ok", color: "--s1", outcomes: ["completed"] },
  { key: "client_error", label: "4xx", color: "--s5", outcomes: ["client_error"] },
  { key: "rejected", label: "rejected", color: "--s2", outcomes: ["rejected"] },
  { key: "error", label: "error", color: "--bad", outcomes: ERROR_OUTCOMES },
  { key: "cancelled", label: "cancelled", color: "--other", outcomes: ["cancelled"] },
];
