/** The metrics API is away: says so, keeps what is on the screen, and comes back by itself. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { AwayError } from "../lib/api.ts";
import { configQuery } from "../lib/queries.ts";
import { useNow } from "../lib/use-now.ts";
import { Button } from "../ui/Button.tsx";
import { Notice } from "../ui/Notice.tsx";

const RETRY_MS = 3_000;

/** Does any query of this page know that the backend is away? */
function useSomethingAway(): boolean {
  const client = useQueryClient();
  useNow(1_000);
  return client.getQueryCache().getAll().some((query) => query.isActive() && query.state.error instanceof AwayError);
}

export function BackendBanner() {
  const client = useQueryClient();
  const somethingAway = useSomethingAway();
  const { error, refetch, isFetching } = useQuery({
    ...configQuery,
    refetchInterval: (query) => (query.state.error || somethingAway ? RETRY_MS : false),
  });
  const away = error instanceof AwayError ? error : null;
  const wasAway = useRef(false);
  useEffect(() => {
    if (!away && (wasAway.current || somethingAway)) void client.invalidateQueries();
    wasAway.current = away !== null;
  }, [away, somethingAway, client]);

  if (!away) return null;
  return (
    <div className="p-4 pb-0">
      <Notice tone="bad" title={away.message} actions={<Button onClick={() => void refetch()}>{isFetching ? "Trying…" : "Try now"}</Button>}>
        <p>
          {away.backendUrl && (
            <>
              Nothing answers at <code className="font-mono text-ink">{away.backendUrl}</code>.{" "}
            </>
          )}
          {away.hint}
        </p>
        <p className="text-ink-3">Trying again every 3 s. Requests are still served and recorded; they appear here once it is back.</p>
      </Notice>
    </div>
  );
}
