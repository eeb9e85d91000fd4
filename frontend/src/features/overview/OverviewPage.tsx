import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, type ReactNode } from "react";
import type { Summary } from "../../lib/api-types.ts";
import { isEmpty, type Filter } from "../../lib/filter.ts";
import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { summaryQuery } from "../../lib/queries.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { Charts } from "./Charts.tsx";
import { Tiles } from "./Tiles.tsx";

// The charts come first; what stands below them, or instead of them, is fetched beside the data.
const ModelsTable = lazy(() => import("./ModelsTable.tsx"));
const LiveFeed = lazy(() => import("./LiveFeed.tsx"));
const EmptyNotice = lazy(() => import("./EmptyNotice.tsx"));

function isEmptyInstall(summary: Summary, filter: Filter): boolean {
  return summary.last_request_at === null && summary.total.requests === 0 && isEmpty(filter);
}

/** Is it healthy now, and what changed? */
export function OverviewPage({ beforeFirst }: { beforeFirst: ReactNode }) {
  const { state } = useUrlState();
  const { data: summary, error, refetch, isPlaceholderData } = useQuery(summaryQuery(state, "model"));

  if (summary && isEmptyInstall(summary, state.filter)) {
    return beforeFirst;
  }
  return (
    <div className={`flex flex-col gap-3 p-3 transition-opacity tablet:p-4 ${isPlaceholderData ? "opacity-60" : ""}`}>
      <h1 className="sr-only">Overview</h1>
      {error && <ErrorNotice what="The summary" error={error} onRetry={() => void refetch()} />}
      <Suspense fallback={null}>{summary?.total.requests === 0 && <EmptyNotice summary={summary} />}</Suspense>
      <Tiles summary={summary} />
      <Charts />
      <Suspense fallback={null}>
        <ModelsTable summary={summary} />
        <LiveFeed />
      </Suspense>
    </div>
  );
}
