/** Waits for a request while the page is open, and shows the newest one as soon as it is there. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import type { RequestRecord } from "../../lib/api-types.ts";
import * as fmt from "../../lib/fmt.ts";
import { useLiveMessages } from "../../lib/live.tsx";
import { requestsQuery } from "../../lib/queries.ts";
import { merged, ttftOf } from "../../lib/rows.ts";
import { parseRange } from "../../lib/time-range.ts";
import { useUrlState } from "../../lib/use-url-state.ts";
import { DemoBadge } from "../../ui/Badge.tsx";
import { StatusMark } from "../../ui/StatusMark.tsx";

const LAST_MONTH = { range: parseRange("30d")!, filter: {} };
const ASK_EVERY_MS = 3_000;

function useNewest(): RequestRecord | null {
  const [live, setLive] = useState<RequestRecord | null>(null);
  // Asked as well, for whoever has paused the live stream.
  const { data } = useInfiniteQuery({ ...requestsQuery(LAST_MONTH, 1), refetchInterval: ASK_EVERY_MS });
  useLiveMessages((message) => {
    if (message.type !== "requests") return;
    setLive((before) => merged(message.data, before ? [before] : [], 1)[0] ?? null);
  });
  return merged(live ? [live] : [], data?.pages[0]?.items ?? [], 1)[0] ?? null;
}

function Waiting({ what }: { what: string }) {
  return (
    <p className="flex items-center gap-2 text-13 text-ink-2">
      <span aria-hidden className="live-pulse size-2 rounded-full bg-accent" />
      {what}
    </p>
  );
}

export function FirstRequest() {
  const { to } = useUrlState();
  const [openedAt] = useState(Date.now);
  const row = useNewest();
  const startedMs = row ? row.started_at / 1000 : 0;
  const arrived = row !== null && startedMs + (row.duration_ms ?? 0) >= openedAt - 1_000;
  return (
    <div role="status" className="flex flex-col gap-2 rounded-panel border border-line bg-surface px-3 py-2.5">
      {!row && <Waiting what="Waiting for your first request…" />}
      {row && !arrived && <Waiting what="Waiting for the next request… The newest so far:" />}
      {row && arrived && <p className="text-13">It works. This one just came through:</p>}
      {row && (
        <Link
          href={to(`/requests/${row.request_id}`)}
          className="-mx-1 flex min-h-8 flex-wrap items-center gap-x-4 gap-y-1 rounded-control px-1 hover:bg-raised pointer-coarse:min-h-11"
        >
          <span className="text-ink-2" title={fmt.fullTime(startedMs)}>
            {fmt.timeOfDay(startedMs)}
          </span>
          <StatusMark outcome={row.outcome} code={row.status_code} />
          <span className="flex min-w-0 items-center gap-2">
            <span className="truncate font-medium">{row.model ?? row.model_requested ?? fmt.UNKNOWN}</span>
            <DemoBadge provider={row.provider} />
          </span>
          <span className="whitespace-nowrap text-ink-2">TTFT {fmt.duration(ttftOf(row))}</span>
          <span className="whitespace-nowrap text-ink-2">total {fmt.duration(row.duration_ms)}</span>
          <span className="ml-auto text-accent">Open it</span>
        </Link>
      )}
    </div>
  );
}
