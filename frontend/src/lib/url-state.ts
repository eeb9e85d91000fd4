/** The URL is the state: one codec. Defaults are never written, unknown parameters are kept. */
import { formatFilter, parseFilter, type Filter, type FilterProblem } from "./filter.ts";
import { DEFAULT_RANGE, formatRange, parseRange, type TimeRange } from "./time-range.ts";

export interface UrlState {
  range: TimeRange;
  /** Wanted by the viewer; a range that does not move with the clock is never live. */
  live: boolean;
  filter: Filter;
  /** Clauses of `q` that were not understood: shown, not applied, kept in the URL. */
  problems: FilterProblem[];
  sort: string | null;
  /** The opened request. */
  id: string | null;
  /** Parameters that are not ours, in their order. */
  rest: [string, string][];
  /** What `t` said when it could not be read. */
  badRange: string | null;
}

export const DEFAULT_STATE: UrlState = {
  range: DEFAULT_RANGE,
  live: true,
  filter: {},
  problems: [],
  sort: null,
  id: null,
  rest: [],
  badRange: null,
};

const OURS = new Set(["t", "live", "q", "s", "id"]);

export function decode(search: string): UrlState {
  const params = new URLSearchParams(search);
  const text = params.get("t");
  const range = text === null ? DEFAULT_RANGE : parseRange(text);
  const { filter, problems } = parseFilter(params.get("q") ?? "");
  return {
    range: range ?? DEFAULT_RANGE,
    badRange: range === null ? text : null,
    live: params.get("live") !== "0",
    filter,
    problems,
    sort: params.get("s") || null,
    id: params.get("id") || null,
    rest: [...params].filter(([key]) => !OURS.has(key)),
  };
}

/** Readable on purpose: what a query may carry bare stays bare (`t=1h&q=model:llama3.1+outcome:completed`). */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/%20/g, "+").replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%2C/g, ",");
}

export function encode(state: UrlState): string {
  const pairs: [string, string][] = [];
  const t = formatRange(state.range);
  if (t !== formatRange(DEFAULT_RANGE)) pairs.push(["t", t]);
  if (!state.live) pairs.push(["live", "0"]);
  const q = [formatFilter(state.filter), ...state.problems.map((problem) => problem.clause)].filter(Boolean).join(" ");
  if (q) pairs.push(["q", q]);
  if (state.sort) pairs.push(["s", state.sort]);
  if (state.id) pairs.push(["id", state.id]);
  pairs.push(...state.rest);
  return pairs.map(([key, value]) => `${escaped(key)}=${escaped(value)}`).join("&");
}

/** The address of a page in a given state. */
export function href(path: string, state: UrlState): string {
  const search = encode(state);
  return search ? `${path}?${search}` : path;
}
