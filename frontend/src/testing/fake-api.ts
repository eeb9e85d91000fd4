/** The metrics API over a list of rows: exact, slow and good enough for development and tests. */
import type { Outcome, Percentiles, Pipeline, RequestRecord, StripCell, SummaryGroup, SystemState, Totals } from "../lib/api-types.ts";
import { FILTER_KEYS, matches, type Filter } from "../lib/filter.ts";
import { ERROR_OUTCOMES } from "../lib/outcome.ts";
import { parseLength } from "../lib/time-range.ts";

export interface Answer {
  status: number;
  body: unknown;
}

const LADDER_S = [5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400];
const startMs = (row: RequestRecord) => row.started_at / 1000;
const isError = (row: RequestRecord) => ERROR_OUTCOMES.includes(row.outcome);

function problem(status: number, code: string, detail: string): Answer {
  return { status, body: { type: "about:blank", title: "Bad request", status, detail, code } };
}

function readFilter(params: URLSearchParams): Filter {
  return Object.fromEntries(FILTER_KEYS.flatMap((key) => (params.has(key) ? [[key, params.get(key)!.split(",")]] : [])));
}

function readRange(params: URLSearchParams, now: number): { from: number; to: number } | null {
  if (params.has("from")) {
    const from = Number(params.get("from"));
    const to = Number(params.get("to"));
    return from < to ? { from, to } : null;
  }
  const ms = parseLength(params.get("range") ?? "1h");
  return ms === null ? null : { from: now - ms, to: now };
}

function percentiles(values: (number | null)[]): Percentiles {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  const at = (q: number) => (known.length ? known[Math.min(known.length - 1, Math.ceil(q * known.length) - 1)]! : null);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), n: known.length };
}

function sum(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

const perSecond = (total: number | null, seconds: number) => (total === null ? null : total / seconds);

export function totals(rows: RequestRecord[], seconds: number): Totals {
  const outcomes: Partial<Record<Outcome, number>> = {};
  const classes: Record<string, number> = {};
  for (const row of rows) {
    outcomes[row.outcome] = (outcomes[row.outcome] ?? 0) + 1;
    const name = row.status_code ? `${Math.floor(row.status_code / 100)}xx` : "none";
    classes[name] = (classes[name] ?? 0) + 1;
  }
  const errors = rows.filter(isError).length;
  const completed = rows.filter((row) => row.outcome === "completed");
  const input = sum(rows.map((row) => row.prompt_tokens));
  const output = sum(rows.map((row) => row.completion_tokens));
  return {
    requests: rows.length,
    errors,
    error_rate_pct: rows.length ? (errors / rows.length) * 100 : null,
    outcomes,
    status_classes: classes,
    req_rate: rows.length / seconds,
    tokens_input: input,
    tokens_output: output,
    tokens_cache_read: sum(rows.map((row) => row.cache_read_tokens)),
    tokens_cache_write: null,
    tokens_reasoning: null,
    token_rate_in: perSecond(input, seconds),
    token_rate_out: perSecond(output, seconds),
    ttft_ms: percentiles(rows.map((row) => row.time_to_first_token_ms)),
    latency_ms: percentiles(rows.map((row) => row.duration_ms)),
    tokens_per_second: percentiles(rows.map((row) => row.tokens_per_second)),
    usage_coverage_pct: completed.length
      ? (completed.filter((row) => row.usage_source === "reported").length / completed.length) * 100
      : null,
    cost_usd: null,
    cost_status: rows.length > 0 && rows.every((row) => row.provider === "echo") ? "free" : "unpriced",
    request_bytes: sum(rows.map((row) => row.request_bytes)) ?? 0,
    response_bytes: sum(rows.map((row) => row.response_bytes)) ?? 0,
  };
}

function keyOf(row: RequestRecord, by: string): string | null {
  if (by === "variant") return row.variant ?? "production";
  const value = (row as unknown as Record<string, unknown>)[by];
  return typeof value === "string" ? value : null;
}

function grouped(rows: RequestRecord[], by: string): [string | null, RequestRecord[]][] {
  const groups = new Map<string | null, RequestRecord[]>();
  for (const row of rows) {
    const key = keyOf(row, by);
    const members = groups.get(key);
    if (members) members.push(row);
    else groups.set(key, [row]);
  }
  return [...groups].toSorted((a, b) => b[1].length - a[1].length);
}

const STRIP_CELLS = 30;

function strip(rows: RequestRecord[], from: number, to: number): StripCell[] {
  const cells: StripCell[] = Array.from({ length: STRIP_CELLS }, () => null);
  for (const row of rows) {
    const at = Math.min(STRIP_CELLS - 1, Math.floor(((startMs(row) - from) / (to - from)) * STRIP_CELLS));
    const cell = cells[at] ?? { requests: 0, errors: 0 };
    cells[at] = { requests: cell.requests + 1, errors: cell.errors + (isError(row) ? 1 : 0) };
  }
  return cells;
}

function summary(all: RequestRecord[], params: URLSearchParams, from: number, to: number): unknown {
  const fitting = all.filter((row) => matches(row, readFilter(params)));
  const within = (a: number, b: number) => fitting.filter((row) => startMs(row) >= a && startMs(row) < b);
  const rows = within(from, to);
  const seconds = (to - from) / 1000;
  const by = params.get("by");
  const groups = by
    ? grouped(rows, by).map(([key, members]): SummaryGroup => {
        const providers = new Set(members.map((row) => row.provider));
        return {
          key: { [by]: key },
          provider: providers.size === 1 ? (members[0]?.provider ?? null) : null,
          ...totals(members, seconds),
          share_pct: (members.length / rows.length) * 100,
          strip: strip(members, from, to),
        };
      })
    : undefined;
  const last = fitting.at(-1);
  return {
    from,
    to,
    source: "rows",
    complete: true,
    total: totals(rows, seconds),
    previous: totals(within(from - (to - from), from), seconds),
    ...(groups ? { groups } : {}),
    last_request_at: last ? startMs(last) : null,
  };
}

function measure(metric: string, rows: RequestRecord[], seconds: number): number | null {
  const t = totals(rows, seconds);
  const quantile = /^(ttft|latency|tokens_per_second)_(p50|p95|p99|n)$/.exec(metric);
  if (quantile) {
    const from = quantile[1] === "ttft" ? t.ttft_ms : quantile[1] === "latency" ? t.latency_ms : t.tokens_per_second;
    return from[quantile[2] as keyof Percentiles];
  }
  if (metric === "req_rate" && rows.length === 0) return 0;
  const value = (t as unknown as Record<string, unknown>)[metric];
  return typeof value === "number" ? value : null;
}

function series(all: RequestRecord[], params: URLSearchParams, from: number, to: number, now: number): Answer {
  const stepS = LADDER_S.find((step) => (to - from) / 1000 / step <= 400) ?? 86_400;
  const step = Number(params.get("step") ?? stepS * 1000);
  const t0 = Math.floor(from / step) * step;
  const length = Math.ceil((to - t0) / step);
  const fitting = all.filter((row) => startMs(row) >= t0 && startMs(row) < to && matches(row, readFilter(params)));
  const by = params.get("by");
  const groups: [string | null, RequestRecord[]][] = by ? grouped(fitting, by) : [["all", fitting]];
  const columns: Record<string, Record<string, (number | null)[]>> = {};
  const metrics = (params.get("metrics") ?? "").split(",").filter(Boolean);
  if (metrics.length === 0) return problem(400, "invalid_parameter", "Name at least one metric in `metrics`.");
  for (const [key, rows] of groups) {
    const buckets: RequestRecord[][] = Array.from({ length }, () => []);
    for (const row of rows) buckets[Math.floor((startMs(row) - t0) / step)]?.push(row);
    for (const metric of metrics) {
      columns[metric] ??= {};
      columns[metric][key ?? "none"] = buckets.map((bucket) => measure(metric, bucket, step / 1000));
    }
  }
  return { status: 200, body: { t0, step, source: "rows", complete_until: Math.min(to, now - 1000), series: columns } };
}

function requests(all: RequestRecord[], params: URLSearchParams, from: number, to: number): Answer {
  const limit = Number(params.get("limit") ?? 50);
  const start = Number(params.get("cursor") ?? 0);
  if (!Number.isInteger(start)) return problem(400, "invalid_cursor", "This cursor was not made by this server.");
  const filter = readFilter(params);
  const rows = all
    .filter((row) => startMs(row) >= from && startMs(row) < to && matches(row, filter))
    .toReversed();
  const items = rows.slice(start, start + limit);
  return { status: 200, body: { items, next_cursor: start + limit < rows.length ? String(start + limit) : null } };
}

export function fakeSystem(rows: RequestRecord[], now: number): SystemState {
  const proxy = (proxy_id: string, share: number) => {
    const done = Math.floor(rows.length * share);
    return {
      proxy_id, version: "0.1.0", started_at: now - 7_384_000, age_ms: 312, workers: 2, in_flight: rows.length ? 7 : 0, max_in_flight: 20_000,
      accepted: done + (rows.length ? 7 : 0), journaled: done, acknowledged: done, dropped: 0, public_url: "http://127.0.0.1:8001",
    };
  };
  return {
    now,
    metrics_api: { version: "0.1.0", started_at: now - 7_384_000, listeners: 2, max_listeners: 1_000 },
    proxies: [proxy("gpu-box-1", 0.6), proxy("gpu-box-2", 0.4)],
    proxies_error: null,
    stream: { entries: 41, unread: 0, pending: 0, lag_seconds: 0, consumers: 1, dead_letters: 0 },
    stream_error: null,
    storage: {
      kind: "sqlite", bytes: 131_072 + rows.length * 420, requests: rows.length, oldest_request_at: rows[0] ? startMs(rows[0]) : null,
      retention: { requests: null, "5s": 86_400, "1m": 604_800 },
    },
    storage_error: null,
  };
}

/** All is well: what is not in flight is stored. */
export function fakePipeline(rows: RequestRecord[], now: number): Pipeline {
  const numbers = (share: number, inFlight: number) => {
    const stored = Math.floor(rows.length * share);
    return { accepted: stored + inFlight, in_flight: inFlight, in_journal: 0, in_stream: 0, stored, dead_lettered: 0, dropped: 0, unaccounted: 0 };
  };
  const life = (proxy_id: string, share: number) => ({
    ...numbers(share, rows.length ? 7 : 0),
    proxy_id, boot_id: `${proxy_id}-boot`, alive: true, closed: false, reported_at: now - 312, crashed: 0, in_journal_bytes: 0, unknown: {},
  });
  const proxies = [life("gpu-box-1", 0.6), life("gpu-box-2", 0.4)];
  const stored = sum(proxies.map((proxy) => proxy.stored)) ?? 0;
  const inFlight = sum(proxies.map((proxy) => proxy.in_flight)) ?? 0;
  return {
    now, proxies, not_listed: 0, unknown: {}, lag_entries: 0, lag_seconds: 0, dead_letters: 0,
    total: { ...numbers(0, inFlight), stored, accepted: stored + inFlight },
  };
}

/** The answer to one GET, or null for a path that is not the API's. */
export function answer(rows: RequestRecord[], url: URL, now: number): Answer | null {
  const params = url.searchParams;
  if (url.pathname === "/api/config") {
    const body = { scrape_interval: 5, targets: [], version: "0.1.0", database: "sqlite", percentile_error_pct: 1 };
    return { status: 200, body };
  }
  if (url.pathname === "/api/setup") {
    const model = rows.findLast((row) => row.outcome === "completed")?.model_requested ?? "demo";
    const body = { base_url: "http://127.0.0.1:8001/v1", port: 8001, proxies: 1, demo: rows.length === 0, model, clients_required: false };
    return { status: 200, body };
  }
  if (url.pathname === "/api/pipeline") return { status: 200, body: fakePipeline(rows, now) };
  if (url.pathname === "/api/system") return { status: 200, body: fakeSystem(rows, now) };
  const one = /^\/api\/requests\/([^/]+)$/.exec(url.pathname);
  if (one) {
    const row = rows.find((candidate) => candidate.request_id === decodeURIComponent(one[1]!));
    if (row) return { status: 200, body: row };
    return problem(404, "not_found", `No request has the id ${one[1]}. It may be older than the retention.`);
  }
  const range = readRange(params, now);
  if (!range) return problem(400, "invalid_range", "Give range= as 5m to 90d, or from= before to=.");
  if (url.pathname === "/api/requests") return requests(rows, params, range.from, range.to);
  if (url.pathname === "/api/summary") return { status: 200, body: summary(rows, params, range.from, range.to) };
  if (url.pathname === "/api/series") return series(rows, params, range.from, range.to, now);
  return null;
}
