/** The live stream inside React: on while it is wanted and the tab is visible. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import type { LiveMessage } from "./api-types.ts";
import { LiveStream, type LiveStatus } from "./live-stream.ts";
import { MOVING_TOPICS } from "./queries.ts";

const Context = createContext<LiveStream | null>(null);

export function LiveProvider({ stream, children }: { stream: LiveStream; children: ReactNode }) {
  return <Context value={stream}>{children}</Context>;
}

function useStream(): LiveStream {
  const stream = useContext(Context);
  if (!stream) throw new Error("LiveProvider is missing above this component");
  return stream;
}

export function useLiveStatus(): LiveStatus {
  const stream = useStream();
  return useSyncExternalStore(stream.subscribeStatus, stream.status);
}

/** Calls `listener` for every message while mounted; the newest listener is always the one called. */
export function useLiveMessages(listener: (message: LiveMessage) => void): void {
  const stream = useStream();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => stream.subscribe((message) => latest.current(message)), [stream]);
}

const HIDDEN_GRACE_MS = 30_000;

/** Runs the stream while `wanted`; a tab hidden for 30 s lets go and catches up when it is seen again. */
export function useLiveConnection(wanted: boolean): void {
  const stream = useStream();
  const client = useQueryClient();
  useEffect(() => {
    if (!wanted) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let released = false;
    const onVisibility = () => {
      clearTimeout(timer);
      if (document.hidden) {
        timer = setTimeout(() => {
          released = true;
          stream.stop();
        }, HIDDEN_GRACE_MS);
      } else if (released) {
        released = false;
        stream.start();
        void client.invalidateQueries();
      }
    };
    stream.start();
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisibility);
      stream.stop();
    };
  }, [wanted, stream, client]);
}

/** How often the numbers follow the traffic: long ranges hardly move, and cost more to read. */
export function refreshPeriod(rangeMs: number): number {
  if (rangeMs <= 3_600_000) return 2_000;
  if (rangeMs <= 86_400_000) return 5_000;
  return 15_000;
}

/** Fetches the moving numbers again when something has happened, at most once per period. */
export function useLiveRefresh(active: boolean, rangeMs: number): void {
  const client = useQueryClient();
  const last = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const period = refreshPeriod(rangeMs);
  // A refresh that waits belongs to the range it was planned for.
  useEffect(() => () => clearTimeout(timer.current), [active, period]); // oxlint-disable-line react/exhaustive-effect-dependencies -- see above
  useLiveMessages((message) => {
    if (!active) return;
    if (message.type === "gap") void client.invalidateQueries();
    if (message.type === "connected") void client.invalidateQueries({ queryKey: ["requests"], type: "active" });
    clearTimeout(timer.current);
    timer.current = setTimeout(
      () => {
        last.current = Date.now();
        void client.invalidateQueries({
          predicate: ({ queryKey }) => MOVING_TOPICS.some((topic) => topic === queryKey[0]),
        });
      },
      Math.max(0, last.current + period - Date.now()),
    );
  });
}
