/** The frame around every page: time and filters above, navigation beside, the state of the data below. */
import { lazy, Suspense, useState, type ReactNode } from "react";
import { RequestDrawer } from "../features/requests/RequestDrawer.tsx";
import { useHotkeys, type Hotkey } from "../lib/hotkeys.ts";
import { useLiveConnection, useLiveRefresh } from "../lib/live.tsx";
import { useTimeNavigation } from "../lib/time-navigation.tsx";
import { bounds, isMoving, parseRange, PRESETS } from "../lib/time-range.ts";
import { useUrlState } from "../lib/use-url-state.ts";
import { BackendBanner } from "./BackendBanner.tsx";
import { Navigation } from "./Navigation.tsx";
import { PAGES } from "./pages.ts";
import { StatusBar } from "./StatusBar.tsx";
import { TopBar } from "./TopBar.tsx";
import { useTabTitle } from "./use-tab-title.ts";

const KeyboardHelp = lazy(() => import("./KeyboardHelp.tsx"));

function focusFilter(): void {
  document.querySelector<HTMLInputElement>("#filter-input")?.focus();
}

export function Shell({ children }: { children: ReactNode }) {
  const { path, state, change, go } = useUrlState();
  const time = useTimeNavigation();
  const [help, setHelp] = useState(false);
  const live = state.live && isMoving(state.range);
  const { from, to } = bounds(state.range, 0);
  useLiveConnection(live);
  useLiveRefresh(live, to - from);
  useTabTitle(live);

  const hotkeys: Hotkey[] = [
    { keys: "/", does: "Filter", run: focusFilter },
    ...PAGES.map((page) => ({ keys: `g ${page.key}`, does: `Go to ${page.label}`, run: () => go(page.path) })),
    ...PRESETS.map((preset, at) => ({
      keys: String(at + 1),
      does: `Last ${preset}`,
      run: () => time.choose(parseRange(preset)!),
    })),
    { keys: "[", does: "Earlier", run: () => time.pan(-1) },
    { keys: "]", does: "Later", run: () => time.pan(1) },
    { keys: "=", does: "Zoom in", run: () => time.zoomBy(0.5) },
    { keys: "-", does: "Zoom out", run: () => time.zoomBy(2) },
    { keys: "Backspace", does: "Back to the range before", run: time.zoomBack },
    { keys: " ", does: "Pause or resume live", run: () => change({ live: !state.live }) },
    { keys: "?", does: "This list", run: () => setHelp(true) },
  ];
  useHotkeys(hotkeys);

  return (
    <div className="relative grid h-dvh grid-cols-1 overflow-hidden grid-rows-[auto_minmax(0,1fr)_auto_auto] phone:grid-cols-[auto_minmax(0,1fr)] phone:grid-rows-[auto_minmax(0,1fr)_auto]">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-raised focus:p-2">
        Skip to the page
      </a>
      <TopBar onHelp={() => setHelp(true)} />
      <Navigation />
      <div className="relative row-start-2 min-h-0 min-w-0 phone:col-start-2">
        <main id="page" tabIndex={-1} className="relative flex h-full flex-col overflow-x-hidden overflow-y-auto outline-none" key={path}>
          <BackendBanner />
          {children}
        </main>
        <RequestDrawer />
      </div>
      <StatusBar />
      <Suspense fallback={null}>{help && <KeyboardHelp hotkeys={hotkeys} onClose={() => setHelp(false)} />}</Suspense>
    </div>
  );
}
