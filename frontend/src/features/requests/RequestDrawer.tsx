/** The request named by `id` in the URL, beside whatever page is open. */
import { lazy, Suspense } from "react";
import { useUrlState } from "../../lib/use-url-state.ts";

const OpenDrawer = lazy(() => import("./OpenDrawer.tsx"));

export function RequestDrawer() {
  const { state } = useUrlState();
  return <Suspense fallback={null}>{state.id && <OpenDrawer id={state.id} />}</Suspense>;
}
