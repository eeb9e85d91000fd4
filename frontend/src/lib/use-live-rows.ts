/** Rows that arrive while a list is open: shown at once, or held while somebody reads. */
import { useCallback, useState } from "react";
import type { RequestRecord } from "./api-types.ts";
import { matches, type Filter } from "./filter.ts";
import { useLiveMessages } from "./live.tsx";
import { merged } from "./rows.ts";

const MOST_ROWS = 1_000;
/** One empty list for good: a new one in every render would count as a change. */
const NONE: RequestRecord[] = [];

export interface LiveRows {
  /** Arrived and to be shown, newest first. */
  shown: RequestRecord[];
  /** Arrived, but the list must not move now. */
  held: RequestRecord[];
  release: () => void;
}

/** `scopeKey` names the list; another key starts empty. */
export function useLiveRows(active: boolean, filter: Filter, hold: boolean, scopeKey: string): LiveRows {
  const [state, setState] = useState({ scopeKey, shown: NONE, held: NONE });
  const current = state.scopeKey === scopeKey ? state : { scopeKey, shown: NONE, held: NONE };

  useLiveMessages((message) => {
    if (!active || message.type !== "requests") return;
    const fitting = message.data.filter((row) => matches(row, filter));
    if (fitting.length === 0) return;
    setState((before) => {
      const base = before.scopeKey === scopeKey ? before : { scopeKey, shown: NONE, held: NONE };
      const known = new Set(base.shown.map((row) => row.request_id));
      const fresh = fitting.filter((row) => !known.has(row.request_id));
      if (hold) return { ...base, held: merged(fresh, base.held, MOST_ROWS) };
      return { ...base, shown: merged([...fresh, ...base.held], base.shown, MOST_ROWS), held: NONE };
    });
  });

  const release = useCallback(() => {
    setState((before) =>
      before.held.length === 0 ? before : { ...before, shown: merged(before.held, before.shown, MOST_ROWS), held: NONE },
    );
  }, []);

  return { shown: current.shown, held: current.held, release };
}
