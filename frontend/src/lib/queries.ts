/** What the pages ask the metrics API, as TanStack Query options. Keys: [topic, what exactly]. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ApiError, getJson } from "./api.ts";
import type { Config, Pipeline, RequestPage, RequestRecord, Series, SetupFacts, Summary, SystemState, UpstreamState } from "./api-types.ts";
import { ask } from "./graphql.ts";
import { filterParams, type Filter } from "./filter.ts";
import { bounds, formatRange, rangeParams, type TimeRange } from "./time-range.ts";

/** Topics that move with live traffic. */
export const MOVING_TOPICS = ["summary", "series"] as const;

export interface Scope {
  range: TimeRange;
  filter: Filter;
}

const scopeKey = ({ range, filter }: Scope) => ({ t: formatRange(range), ...filterParams(filter) });
const scopeParams = ({ range, filter }: Scope) => ({ ...rangeParams(range, Date.now()), ...filterParams(filter) });

/** A client mistake will not mend itself; anything else is tried once more by the query, then by the page. */
export const retry = (failures: number, error: Error): boolean =>
  failures < 1 && !(error instanceof ApiError && error.status < 500);

export function summaryQuery(scope: Scope, by?: string) {
  const extra: Record<string, string> = by ? { by } : {};
  return queryOptions({
    queryKey: ["summary", { ...scopeKey(scope), ...extra }],
    queryFn: ({ signal }) => getJson<Summary>("/api/summary", { ...scopeParams(scope), ...extra }, signal),
    placeholderData: keepPreviousData,
  });
}

const LADDER_S = [5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400];
const MOST_BUCKETS = 180;

/** The bucket length for charts of panel size, ms: fine enough to see, coarse enough to have something in it. */
export function panelStep(range: TimeRange): number {
  const { from, to } = bounds(range, Date.now());
  const seconds = (to - from) / 1000;
  return (LADDER_S.find((step) => seconds / step <= MOST_BUCKETS) ?? 86_400) * 1000;
}

export function seriesQuery(scope: Scope, metrics: readonly string[], by?: string) {
  const extra: Record<string, string> = {
    metrics: metrics.join(","),
    step: String(panelStep(scope.range)),
    ...(by ? { by } : {}),
  };
  return queryOptions({
    queryKey: ["series", { ...scopeKey(scope), ...extra }],
    queryFn: ({ signal }) => getJson<Series>("/api/series", { ...scopeParams(scope), ...extra }, signal),
    placeholderData: keepPreviousData,
  });
}

export function requestsQuery(scope: Scope, limit: number) {
  return infiniteQueryOptions({
    queryKey: ["requests", { ...scopeKey(scope), limit }],
    queryFn: ({ signal, pageParam }) => {
      const cursor: Record<string, string> = pageParam ? { cursor: pageParam } : {};
      return getJson<RequestPage>("/api/requests", { ...scopeParams(scope), limit: String(limit), ...cursor }, signal);
    },
    initialPageParam: "",
    getNextPageParam: (page: RequestPage) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function requestQuery(id: string) {
  return queryOptions({
    queryKey: ["request", id],
    queryFn: ({ signal }) => getJson<RequestRecord>(`/api/requests/${encodeURIComponent(id)}`, {}, signal),
    staleTime: Infinity,
  });
}

export const configQuery = queryOptions({
  queryKey: ["config"],
  queryFn: ({ signal }) => getJson<Config>("/api/config", {}, signal),
  staleTime: 60_000,
});

export const setupQuery = queryOptions({
  queryKey: ["setup"],
  queryFn: ({ signal }) => getJson<SetupFacts>("/api/setup", {}, signal),
  refetchInterval: 10_000,
});

const UPSTREAMS = `query Upstreams($range: String!) {
  upstreams(range: $range) { name provider requests errors error_rate_pct latency_ms { p50 p95 n } }
}`;

/** The upstreams that had traffic in the last hour. */
export const upstreamsQuery = queryOptions({
  queryKey: ["upstreams"],
  queryFn: ({ signal }) => ask<{ upstreams: UpstreamState[] }>(UPSTREAMS, { range: "1h" }, signal).then(({ upstreams }) => upstreams),
  refetchInterval: 10_000,
});

/** `everyMs`: how often it is asked again while somebody looks. */
export function systemQuery(everyMs: number) {
  return queryOptions({
    queryKey: ["system"],
    queryFn: ({ signal }) => getJson<SystemState>("/api/system", {}, signal),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  });
}

/** The reconciliation, made anew each time. */
export function pipelineQuery(everyMs: number) {
  return queryOptions({
    queryKey: ["pipeline"],
    queryFn: ({ signal }) => getJson<Pipeline>("/api/pipeline", {}, signal),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  });
}
