import { lazy, Suspense } from "react";
import { OverviewPage } from "../features/overview/OverviewPage.tsx";

const SetupGuide = lazy(() => import("../features/setup/SetupGuide.tsx"));

/** The overview; before the first request, the way to it. */
export function Overview() {
  return (
    <OverviewPage
      beforeFirst={
        <Suspense fallback={null}>
          <SetupGuide title="No requests yet" />
        </Suspense>
      }
    />
  );
}
