/** Reading and changing the state in the URL. Changing a filter or the time replaces; opening something pushes. */
import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { decode, encode, href, type UrlState } from "./url-state.ts";

export interface UrlControl {
  path: string;
  state: UrlState;
  /** Stays on the page. */
  change: (patch: Partial<UrlState>, how?: "replace" | "push") => void;
  /** Goes to another page; time and filter come along. */
  go: (path: string, patch?: Partial<UrlState>) => void;
  /** The address of another page, for links. */
  to: (path: string, patch?: Partial<UrlState>) => string;
}

export function useUrlState(): UrlControl {
  const [path, navigate] = useLocation();
  const search = useSearch();
  const state = useMemo(() => decode(search), [search]);

  const change = useCallback(
    (patch: Partial<UrlState>, how: "replace" | "push" = "replace") => {
      // The address bar, not the last render: two changes in one tick must both count.
      const now = decode(window.location.search);
      const next = { ...now, ...patch };
      if (encode(next) === encode(now)) return;
      navigate(href(window.location.pathname, next), { replace: how === "replace" });
    },
    [navigate],
  );

  const to = useCallback(
    (target: string, patch: Partial<UrlState> = {}) => href(target, { ...state, id: null, sort: null, ...patch }),
    [state],
  );
  const go = useCallback((target: string, patch?: Partial<UrlState>) => navigate(to(target, patch)), [navigate, to]);

  return useMemo(() => ({ path, state, change, go, to }), [path, state, change, go, to]);
}
