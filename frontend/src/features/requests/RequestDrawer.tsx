/** The request named by `id` in the URL, beside whatever page is open. */
import { lazy, Suspense } from "react";
import { useHotkeys } from "../../lib/hotkeys.ts";
import { useUrlState } from "../../lib/use-url-state.ts";

const OpenDrawer = lazy(() => import("./OpenDrawer.tsx"));

export function RequestDrawer() {
  const { state, change } = useUrlState();
  // Here and not in the drawer: Escape also closes one whose code is still on its way.
  useHotkeys(state.id ? [{ keys: "Escape", does: "Close", run: () => change({ id: null }, "push") }] : []);
  return <Suspense fallback={null}>{state.id && <OpenDrawer id={state.id} />}</Suspense>;
}
