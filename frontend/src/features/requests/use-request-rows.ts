/** The rows of the requests page: pages of history, and what arrives while it is open. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type { RequestRecord } from "../../lib/api-types.ts";
import { filterParams } from "../../lib/filter.ts";
import { requestsQuery } from "../../lib/queries.ts";
import { merged } from "../../lib/rows.ts";
import { formatRange, isMoving } from "../../lib/time-range.ts";
import type { UrlState } from "../../lib/url-state.ts";
import { useLiveRows } from "../../lib/use-live-rows.ts";

const PAGE_SIZE = 100;

export interface RequestRows {
  rows: readonly RequestRecord[];
  fresh: ReadonlySet<string>;
  held: number;
  release: () => void;
  loading: boolean;
  loadingMore: boolean;
  hasMore: boolean;
  stale: boolean;
  error: Error | null;
  loadMore: () => void;
  retry: () => void;
}

export function useRequestRows(state: UrlState, reading: boolean): RequestRows {
  const query = useInfiniteQuery(requestsQuery(state, PAGE_SIZE));
  const live = state.live && isMoving(state.range);
  const scopeKey = JSON.stringify([formatRange(state.range), filterParams(state.filter)]);
  const { shown, held, release } = useLiveRows(live, state.filter, reading, scopeKey);
  const history = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const rows = useMemo(() => merged(shown, history), [shown, history]);
  const fresh = useMemo(() => new Set(shown.map((row) => row.request_id)), [shown]);
  const known = useMemo(() => new Set(history.map((row) => row.request_id)), [history]);
  const { hasNextPage, isFetching, fetchNextPage, refetch } = query;
  const loadMore = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  return {
    rows,
    fresh,
    held: held.filter((row) => !known.has(row.request_id)).length,
    release,
    loading: query.isPending,
    loadingMore: query.isFetchingNextPage,
    hasMore: hasNextPage,
    stale: query.isPlaceholderData,
    error: query.error,
    loadMore,
    retry: () => void refetch(),
  };
}
