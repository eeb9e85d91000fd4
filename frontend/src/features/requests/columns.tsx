/** The columns of the requests table, as data. */
import type { ReactNode } from "react";
import type { RequestRecord } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { ttftOf } from "../../lib/rows.ts";
import { DemoBadge, VariantMark } from "../../ui/Badge.tsx";
import { StatusMark } from "../../ui/StatusMark.tsx";
import { Unknown } from "../../ui/Unknown.tsx";

export interface Column {
  key: string;
  title: string;
  meaning: string;
  /** Least width in pixels. */
  width: number;
  /** Takes what is left. */
  grows?: boolean;
  align: "left" | "right";
  /** The lower, the longer it stays when there is little room. */
  rank: number;
  cell: (row: RequestRecord, room: Pick<Layout, "narrow" | "wide">) => ReactNode;
}

export function whyNoTtft(row: RequestRecord): string {
  if (row.stream === false) return "not streamed: there is no first token to time";
  return row.outcome === "completed" ? "the proxy saw no content token" : "it ended before the first token";
}

export function whyNoUsage(row: RequestRecord): string {
  return row.outcome === "completed" ? "the upstream reported no usage" : "it ended before usage was reported";
}

function known(value: number | null, text: (value: number) => string, why: string): ReactNode {
  return value === null ? <Unknown why={why} /> : text(value);
}

export function Tokens({ row }: { row: RequestRecord }) {
  if (row.prompt_tokens === null && row.completion_tokens === null) return <Unknown why={whyNoUsage(row)} />;
  return (
    <span title={row.usage_source === "estimated" ? "estimated" : undefined}>
      {row.usage_source === "estimated" && "≈ "}
      {fmt.count(row.prompt_tokens)}
      <span className="text-ink-3"> → </span>
      {fmt.count(row.completion_tokens)}
    </span>
  );
}

export function Cost({ row }: { row: RequestRecord }) {
  if (row.cost_usd !== null) return fmt.money(row.cost_usd);
  if (row.cost_status === null) return <Unknown why="cost is worked out for requests that reached an upstream" />;
  return <span className="text-ink-3">{row.cost_status}</span>;
}

export const COLUMNS: readonly Column[] = [
  {
    key: "time",
    title: "time",
    meaning: "When the request was accepted",
    width: 100,
    align: "left",
    rank: 1,
    cell: (row) => (
      <span className="text-ink-2" title={fmt.fullTime(row.started_at / 1000)}>
        {fmt.timeOfDay(row.started_at / 1000, "milli")}
      </span>
    ),
  },
  {
    key: "status",
    title: "status",
    meaning: "Status code sent to the client, and how the request ended",
    width: 140,
    align: "left",
    rank: 4,
    cell: (row) => <StatusMark outcome={row.outcome} code={row.status_code} />,
  },
  {
    key: "model",
    title: "model",
    meaning: "Model as answered, else as requested",
    width: 96,
    grows: true,
    align: "left",
    rank: 0,
    cell: (row, { narrow, wide }) => (
      <span className="flex min-w-0 items-center gap-2">
        {narrow && <StatusMark outcome={row.outcome} short />}
        <span className="truncate" title={row.model ?? undefined}>
          {row.model ?? row.model_requested ?? <Unknown why="the request named no model" />}
        </span>
        <DemoBadge provider={row.provider} />
        {!wide && row.variant === "canary" && <VariantMark variant="canary" short />}
      </span>
    ),
  },
  {
    key: "variant",
    title: "variant",
    meaning: "Production or canary",
    width: 88,
    align: "left",
    rank: 10,
    cell: (row) => <VariantMark variant={row.variant} />,
  },
  {
    key: "user",
    title: "user / key",
    meaning: "The caller's user, else the name of its key",
    width: 104,
    align: "left",
    rank: 7,
    cell: (row) =>
      row.user === null && row.api_key_id === null ? (
        <Unknown why="neither a user nor a key was given" />
      ) : (
        <bdi className="block truncate text-ink-2" title={[row.user && `user ${row.user}`, row.api_key_id && `key ${row.api_key_id}`].filter(Boolean).join(", ")}>
          {row.user ?? row.api_key_id}
        </bdi>
      ),
  },
  {
    key: "ttft",
    title: "TTFT",
    meaning: "Accepted to first content token",
    width: 68,
    align: "right",
    rank: 5,
    cell: (row) => known(ttftOf(row), fmt.duration, whyNoTtft(row)),
  },
  {
    key: "total",
    title: "total",
    meaning: "Accepted to last byte",
    width: 72,
    align: "right",
    rank: 2,
    cell: (row) => known(row.duration_ms, fmt.duration, "its end was not measured"),
  },
  {
    key: "speed",
    title: "tok/s",
    meaning: "Decode speed: (output tokens − 1) ÷ (last token − first token)",
    width: 52,
    align: "right",
    rank: 8,
    cell: (row) => known(row.tokens_per_second, fmt.rate, row.stream === false ? "not streamed: token times are not known" : whyNoUsage(row)),
  },
  {
    key: "tokens",
    title: "in → out",
    meaning: "Input and output tokens",
    width: 100,
    align: "right",
    rank: 6,
    cell: (row) => <Tokens row={row} />,
  },
  {
    key: "cost",
    title: "cost",
    meaning: "Unpriced is not free: no price is set for the model",
    width: 68,
    align: "right",
    rank: 9,
    cell: (row) => <Cost row={row} />,
  },
];

const GAP_PX = 12;
/** When, which model and how long: kept at any width. */
const ALWAYS_RANK = 2;
const PADDING_PX = 24;

export interface Layout {
  columns: readonly Column[];
  /** Tracks of the CSS grid. */
  template: string;
  /** There is no status column: the mark moves to the model. */
  narrow: boolean;
  /** There is a variant column. */
  wide: boolean;
}

/** The columns a table of this width has room for: the important ones first, shown in their own order. */
export function columnsFor(width: number): Layout {
  let room = width - PADDING_PX + GAP_PX;
  const kept = new Set<Column>();
  for (const column of COLUMNS.toSorted((a, b) => a.rank - b.rank)) {
    room -= column.width + GAP_PX;
    if (room < 0 && column.rank > ALWAYS_RANK) break;
    kept.add(column);
  }
  const columns = COLUMNS.filter((column) => kept.has(column));
  const has = (key: string) => columns.some((column) => column.key === key);
  const template = columns.map((column) => (column.grows ? `minmax(${column.width}px, 1fr)` : `${column.width}px`)).join(" ");
  return { columns, template, narrow: !has("status"), wide: has("variant") };
}
