import { useInfiniteQuery } from "@tanstack/react-query";
import { ArrowUp } from "lucide-react";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import type { RequestRecord } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { filterParams } from "../../lib/filter.ts";
import { requestsQuery } from "../../lib/queries.ts";
import { merged, ttftOf } from "../../lib/rows.ts";
import { formatRange, isMoving } from "../../lib/time-range.ts";
import { useLiveRows } from "../../lib/use-live-rows.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { useOfferWalkList } from "../../lib/walk-list.tsx";
import { DemoBadge, VariantMark } from "../../ui/Badge.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { StatusMark } from "../../ui/StatusMark.tsx";

const ROWS = 12;

function tokens(row: RequestRecord): string {
  if (row.prompt_tokens === null && row.completion_tokens === null) return fmt.UNKNOWN;
  return `${fmt.count(row.prompt_tokens)} → ${fmt.count(row.completion_tokens)}`;
}

function FeedRow({ row, fresh }: { row: RequestRecord; fresh: boolean }) {
  const { change, state } = useUrlState();
  const startedMs = row.started_at / 1000;
  return (
    <li className={`border-t border-line ${fresh ? "row-new" : ""}`}>
      <button
        type="button"
        aria-current={state.id === row.request_id}
        onClick={() => change({ id: row.request_id }, "push")}
        className={`grid h-11 w-full phone:h-8 pointer-coarse:h-11 grid-cols-[5.5rem_minmax(0,1fr)_4.5rem] items-center gap-x-3 text-left hover:bg-raised phone:grid-cols-[6.5rem_8rem_minmax(0,1fr)_4.5rem_4.5rem] tablet:grid-cols-[6.5rem_9rem_minmax(0,1fr)_7rem_5rem_5rem_6rem] ${state.id === row.request_id ? "bg-raised" : ""}`}
      >
        <span className="text-ink-2" title={fmt.fullTime(startedMs)}>
          {fmt.timeOfDay(startedMs, "milli")}
        </span>
        <span className="hidden phone:block">
          <StatusMark outcome={row.outcome} code={row.status_code} />
        </span>
        <span className="flex min-w-0 items-center gap-2">
          <span className="phone:hidden">
            <StatusMark outcome={row.outcome} short />
          </span>
          <span className="truncate" title={row.model ?? ""}>
            {row.model ?? row.model_requested ?? fmt.UNKNOWN}
          </span>
          <DemoBadge provider={row.provider} />
          {row.variant === "canary" && <VariantMark variant={row.variant} short />}
        </span>
        <span className="hidden truncate text-ink-2 tablet:block">{row.user ?? row.api_key_id ?? fmt.UNKNOWN}</span>
        <span className="hidden text-right phone:block" title="Time to first token">
          {fmt.duration(ttftOf(row))}
        </span>
        <span className="text-right" title="Latency">
          {fmt.duration(row.duration_ms)}
        </span>
        <span className="hidden pr-1 text-right whitespace-nowrap text-ink-2 tablet:block" title="Tokens in → out">
          {tokens(row)}
        </span>
      </button>
    </li>
  );
}

/** The newest requests as they finish; it holds still while the pointer is on it. */
export default function LiveFeed() {
  const { state, to } = useUrlState();
  const [reading, setReading] = useState(false);
  const live = state.live && isMoving(state.range);
  const scopeKey = JSON.stringify([formatRange(state.range), filterParams(state.filter)]);
  const { data } = useInfiniteQuery(requestsQuery(state, ROWS));
  const { shown, held, release } = useLiveRows(live, state.filter, reading, scopeKey);
  const rows = useMemo(() => merged(shown, data?.pages[0]?.items ?? [], ROWS), [shown, data]);
  const fresh = useMemo(() => new Set(shown.map((row) => row.request_id)), [shown]);
  useOfferWalkList(useMemo(() => rows.map((row) => row.request_id), [rows]));

  return (
    <section className="min-w-0 rounded-panel border border-line bg-surface px-3 py-2" aria-labelledby="feed-title">
      <header className="flex h-6 items-center gap-3">
        <h2 id="feed-title" className="text-13 font-semibold whitespace-nowrap">
          Live requests
        </h2>
        {held.length > 0 ? (
          <button type="button" onClick={release} className="flex items-center gap-1 rounded-control text-12 text-accent">
            <ArrowUp size={12} aria-hidden />
            {held.length} new
          </button>
        ) : (
          <span className="hidden text-11 text-ink-3 phone:inline">{live ? "newest first, holds while you read" : "paused"}</span>
        )}
        <Link href={to("/requests")} className="ml-auto text-12 whitespace-nowrap text-accent hover:underline">
          All requests
        </Link>
      </header>
      <ul
        className="mt-1 min-h-[24rem]"
        onPointerEnter={(event) => event.pointerType === "mouse" && setReading(true)}
        onPointerLeave={() => {
          setReading(false);
          release();
        }}
      >
        {rows.map((row) => (
          <FeedRow key={row.request_id} row={row} fresh={fresh.has(row.request_id)} />
        ))}
        {!data && Array.from({ length: ROWS }, (_, at) => <li key={at} className="flex h-8 items-center border-t border-line"><Skeleton className="h-4 w-full" /></li> /* oxlint-disable-line react/no-array-index-key -- placeholders have no identity */)}
        {data && rows.length === 0 && <li className="border-t border-line py-2 text-12 text-ink-3">No requests in this range</li>}
      </ul>
    </section>
  );
}
