/** What the overview shows, as data: to add a tile or a chart, add an entry. */
import type { ChartLine } from "../../charts/model.ts";
import type { Percentiles, Series, Totals } from "../../lib/api-types.ts";
import type { Filter } from "../../lib/filter.ts";
import * as fmt from "../../lib/fmt.ts";
import { ERROR_FILTER, TRAFFIC_LAYERS } from "../../lib/outcome.ts";

type Value = number | null;

export interface Tile {
  id: string;
  title: string;
  meaning: string;
  /** Metric of the sparkline; null where there is none to draw. */
  metric: string | null;
  color: string;
  value: (totals: Totals) => Value;
  parts: (value: Value) => [string, string];
  change: (now: Value, before: Value) => string | null;
  /** How many requests stand behind a percentile. */
  n?: (totals: Totals) => number;
  /** Why there is no value. */
  unknown: string;
  /** The requests it leads to. */
  filter: Filter;
}

/** The unit is what stands behind the last thin space; "< 0.01" has none. */
const split = (text: string): [string, string] => {
  const at = text.lastIndexOf(fmt.THIN);
  return at > 0 && /[a-z]/i.test(text.slice(at)) ? [text.slice(0, at), text.slice(at + 1)] : [text, ""];
};

export const TILES: readonly Tile[] = [
  {
    id: "req_rate",
    title: "Requests/s",
    meaning: "Accepted requests per second, averaged over the range",
    metric: "req_rate",
    color: "--s1",
    value: (totals) => totals.req_rate,
    parts: (value) => split(fmt.rate(value)),
    change: fmt.change,
    unknown: "no traffic in this range",
    filter: {},
  },
  {
    id: "error_rate",
    title: "Error rate",
    meaning: "Upstream errors, timeouts, truncated answers and internal errors over all requests; 4xx and cancelled are apart",
    metric: "error_rate_pct",
    color: "--bad",
    value: (totals) => totals.error_rate_pct,
    parts: (value) => [fmt.percent(value).replace(`${fmt.THIN}%`, ""), "%"],
    change: fmt.points,
    unknown: "no traffic in this range",
    filter: ERROR_FILTER,
  },
  {
    id: "ttft_p95",
    title: "TTFT p95",
    meaning: "Time to first token: accepted to first content token sent on; 95 of 100 streamed requests were faster",
    metric: "ttft_p95",
    color: "--s1",
    value: (totals) => totals.ttft_ms.p95,
    parts: fmt.durationParts,
    change: fmt.change,
    n: (totals) => totals.ttft_ms.n,
    unknown: "no streamed answer in this range",
    filter: {},
  },
  {
    id: "token_rate_out",
    title: "Tokens/s out",
    meaning: "Output tokens of all requests per second; only requests whose usage was reported count",
    metric: "token_rate_out",
    color: "--s1",
    value: (totals) => totals.token_rate_out,
    parts: (value) => split(fmt.rate(value)),
    change: fmt.change,
    unknown: "no token counts were reported in this range",
    filter: {},
  },
  {
    id: "latency_p95",
    title: "Latency p95",
    meaning: "Accepted to last byte handed over; 95 of 100 requests were faster",
    metric: "latency_p95",
    color: "--s1",
    value: (totals) => totals.latency_ms.p95,
    parts: fmt.durationParts,
    change: fmt.change,
    n: (totals) => totals.latency_ms.n,
    unknown: "no request in this range",
    filter: {},
  },
  {
    id: "cost",
    title: "Cost",
    meaning: "Priced from the price book; requests without a price are never counted as free",
    metric: null,
    color: "--s1",
    value: (totals) => totals.cost_usd,
    parts: (value) => split(fmt.money(value)),
    change: fmt.change,
    unknown: "no price is set for these models",
    filter: {},
  },
];

export interface Panel {
  id: string;
  title: string;
  kind: "bars" | "lines";
  unit: string;
  metrics: readonly string[];
  by?: string;
  /** Behind percentiles: metric with the number of requests of each bucket, and that of the range. */
  n?: { metric: string; range: (totals: Totals) => number };
  isTime: boolean;
  /** A line's value over the whole range. */
  resting: (totals: Totals, lineKey: string) => Value;
  logSwitch: boolean;
  format: (value: Value) => string;
  lines: (series: Series) => ChartLine[];
  /** What a click on a line means beside the time. */
  drill: (lineKey: string | null) => Filter;
}

/** The values of one group, or a row of the same length for one that did not occur. */
function valuesOf(series: Series, metric: string, group: string, missing: Value): Value[] {
  const groups = series.series[metric] ?? {};
  const buckets = Math.max(1, Math.ceil((series.complete_until - series.t0) / series.step));
  const length = Object.values(groups)[0]?.length ?? buckets;
  return groups[group] ?? Array.from({ length }, () => missing);
}

function trafficLines(series: Series): ChartLine[] {
  return TRAFFIC_LAYERS.map((layer) => {
    const rows = layer.outcomes.map((outcome) => valuesOf(series, "requests", outcome, 0));
    const values = rows[0]!.map((_, at) => rows.reduce((sum, row) => sum + (row[at] ?? 0), 0));
    return { key: layer.key, label: layer.label, color: layer.color, values };
  });
}

const QUANTILES = [
  { key: "p50", color: "--s1", dash: undefined },
  { key: "p95", color: "--s2", dash: undefined },
  { key: "p99", color: "--s4", dash: [2, 3] },
] as const;

/** A p99 of fewer than a hundred is only the slowest one: such buckets show none. */
const LEAST_FOR_P99 = 100;

const percentileLines = (metric: string) => (series: Series): ChartLine[] => {
  const n = valuesOf(series, `${metric}_n`, "all", 0);
  return QUANTILES.map(({ key, color, dash }) => {
    const values = valuesOf(series, `${metric}_${key}`, "all", null);
    return {
      key,
      label: key,
      color,
      ...(dash ? { dash: [...dash] } : {}),
      values: key === "p99" ? values.map((value, at) => ((n[at] ?? 0) >= LEAST_FOR_P99 ? value : null)) : values,
    };
  });
};

/** Why p99 has no line although there is traffic. */
export function percentileNote(lines: readonly ChartLine[]): string | null {
  const has = (key: string) => lines.find((line) => line.key === key)?.values.some((value) => value !== null);
  return has("p50") && !has("p99") ? `p99 line: n ≥ ${LEAST_FOR_P99}` : null;
}

const percentilePanel = (metric: string, of: (totals: Totals) => Percentiles) => ({
  kind: "lines" as const,
  metrics: ["p50", "p95", "p99", "n"].map((part) => `${metric}_${part}`),
  n: { metric: `${metric}_n`, range: (totals: Totals) => of(totals).n },
  isTime: true,
  logSwitch: true,
  format: fmt.duration,
  lines: percentileLines(metric),
  resting: (totals: Totals, key: string) => of(totals)[key as keyof Percentiles],
  drill: () => ({}),
});

export const PANELS: readonly Panel[] = [
  {
    id: "traffic",
    title: "Traffic by outcome",
    kind: "bars",
    unit: "requests",
    metrics: ["requests"],
    by: "outcome",
    isTime: false,
    logSwitch: false,
    format: fmt.count,
    lines: trafficLines,
    resting: (totals, key) =>
      TRAFFIC_LAYERS.find((layer) => layer.key === key)?.outcomes.reduce((sum, outcome) => sum + (totals.outcomes[outcome] ?? 0), 0) ?? null,
    drill: (key) => {
      const layer = TRAFFIC_LAYERS.find((candidate) => candidate.key === key);
      return layer ? { outcome: [...layer.outcomes] } : {};
    },
  },
  {
    id: "ttft",
    title: "Time to first token",
    unit: "streamed",
    ...percentilePanel("ttft", (totals) => totals.ttft_ms),
  },
  {
    id: "latency",
    title: "Latency",
    unit: "all requests",
    ...percentilePanel("latency", (totals) => totals.latency_ms),
  },
];

/** Everything that needs no grouping comes in one answer. */
export const UNGROUPED_METRICS: readonly string[] = [
  ...new Set([
    ...TILES.flatMap((tile) => (tile.metric ? [tile.metric] : [])),
    ...PANELS.flatMap((panel) => (panel.by ? [] : panel.metrics)),
  ]),
];
