/** Moving through time: drag to zoom in, double-click or Backspace to come back. */
import { createContext, useContext, useMemo, useRef, type ReactNode } from "react";
import { DEFAULT_RANGE, panned, zoomed, type TimeRange } from "./time-range.ts";
import { useUrlState } from "./use-url-state.ts";

export interface TimeNavigation {
  zoomTo: (from: number, to: number) => void;
  zoomBack: () => void;
  zoomBy: (factor: number) => void;
  pan: (direction: -1 | 1) => void;
  choose: (range: TimeRange) => void;
}

const Context = createContext<TimeNavigation | null>(null);

export function TimeNavigationProvider({ children }: { children: ReactNode }) {
  const { state, change } = useUrlState();
  const earlier = useRef<TimeRange[]>([]);
  const navigation = useMemo((): TimeNavigation => {
    const choose = (range: TimeRange) => {
      earlier.current.push(state.range);
      change({ range, badRange: null });
    };
    return {
      choose,
      zoomTo: (from, to) => choose({ kind: "absolute", from: Math.round(from), to: Math.round(to) }),
      zoomBy: (factor) => choose(zoomed(state.range, factor, Date.now())),
      pan: (direction) => choose(panned(state.range, direction, Date.now())),
      zoomBack: () => {
        const before = earlier.current.pop();
        if (before) change({ range: before, badRange: null });
        else if (state.range.kind === "absolute") change({ range: DEFAULT_RANGE });
      },
    };
  }, [state.range, change]);
  return <Context value={navigation}>{children}</Context>;
}

export function useTimeNavigation(): TimeNavigation {
  const navigation = useContext(Context);
  if (!navigation) throw new Error("TimeNavigationProvider is missing above this component");
  return navigation;
}
