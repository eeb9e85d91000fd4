import { useQuery } from "@tanstack/react-query";
import { ArrowUp, PanelLeft } from "lucide-react";
import { useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";
import * as fmt from "../../lib/fmt.ts";
import { useHotkeys } from "../../lib/hotkeys.ts";
import { summaryQuery } from "../../lib/queries.ts";
import { rangeLabel } from "../../lib/range-label.ts";
import { useStored } from "../../lib/use-stored.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { useOfferWalkList } from "../../lib/walk-list.tsx";
import { IconButton } from "../../ui/Button.tsx";
import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { EmptyRequests } from "./EmptyRequests.tsx";
import { Facets } from "./Facets.tsx";
import { GridSkeleton } from "./GridSkeleton.tsx";
import { RequestGrid } from "./RequestGrid.tsx";
import { useRequestRows } from "./use-request-rows.ts";

/** Which requests? Newest first, live while nobody reads. */
export default function RequestsPage() {
  const { state, change } = useUrlState();
  const [reading, setReading] = useState(false);
  const [activeId, setActiveId] = useState<string | null>(state.id);
  // Keys can come faster than renders: the next one must see where the last one went.
  const cursor = useRef(activeId);
  const activate = useCallback((id: string) => {
    cursor.current = id;
    setActiveId(id);
  }, []);
  const [facets, setFacets] = useStored("weir.requests.facets", true);
  // The drawer walks the list too: the cursor stays where it was when it closes.
  const [lastOpen, setLastOpen] = useState(state.id);
  if (state.id !== lastOpen) {
    setLastOpen(state.id);
    if (state.id !== null) setActiveId(state.id);
  }
  useLayoutEffect(() => {
    if (state.id !== null) cursor.current = state.id;
  }, [state.id]);
  const list = useRequestRows(state, reading);
  const { data: summary } = useQuery(summaryQuery(state, "model"));
  const { rows } = list;
  useOfferWalkList(useMemo(() => rows.map((row) => row.request_id), [rows]));

  const open = useCallback(
    (id: string) => {
      activate(id);
      change({ id }, state.id === null ? "push" : "replace");
    },
    [activate, change, state.id],
  );
  const step = (by: 1 | -1) => {
    const at = rows.findIndex((row) => row.request_id === cursor.current);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
    if (!next) return;
    activate(next.request_id);
    if (state.id !== null) change({ id: next.request_id });
  };
  useHotkeys([
    { keys: "j", does: "Next request", run: () => step(1) },
    { keys: "k", does: "Previous request", run: () => step(-1) },
    { keys: "Enter", does: "Open the request", run: () => cursor.current && open(cursor.current) },
  ]);

  const total = summary?.total.requests ?? null;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="flex h-11 shrink-0 items-center gap-3 px-3 tablet:px-4">
        <span className="-ml-1 hidden tablet:block">
          <IconButton label={facets ? "Hide facets" : "Show facets"} pressed={facets} onClick={() => setFacets(!facets)}>
            <PanelLeft size={16} strokeWidth={1.5} aria-hidden />
          </IconButton>
        </span>
        <h1 className="text-16 font-semibold">Requests</h1>
        <p className="truncate text-12 text-ink-2" title={total === null ? undefined : fmt.exact(total)}>
          {total === null ? "" : `${fmt.count(total)} in the ${rangeLabel(state.range).toLowerCase()}`}
        </p>
        {list.held > 0 && (
          <button type="button" onClick={list.release} className="ml-auto flex h-6 items-center gap-1 rounded-control px-1.5 text-12 whitespace-nowrap text-accent hover:bg-raised">
            <ArrowUp size={12} aria-hidden />
            {list.held} new
          </button>
        )}
      </header>
      {list.error && rows.length === 0 ? (
        <div className="px-4">
          <ErrorNotice what="The requests" error={list.error} onRetry={list.retry} />
        </div>
      ) : null}
      <div className={`flex min-h-0 flex-1 border-t border-line bg-surface ${list.stale ? "opacity-60" : ""}`}>
        {facets && <Facets />}
        {list.loading ? (
          <GridSkeleton />
        ) : rows.length === 0 && !list.error ? (
          <EmptyRequests summary={summary} />
        ) : (
          <RequestGrid
            rows={rows}
            total={total}
            openId={state.id}
            activeId={activeId}
            fresh={list.fresh}
            onActivate={activate}
            onOpen={open}
            onReading={setReading}
            onNearEnd={list.loadMore}
            footer={
              <p className="h-8 px-3 py-1.5 text-12 text-ink-3">
                {list.loadingMore ? "Reading more…" : list.hasMore ? "" : `${fmt.exact(rows.length)} requests, that is all of this range`}
              </p>
            }
          />
        )}
      </div>
    </div>
  );
}
