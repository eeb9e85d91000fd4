import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { ChartPanel } from "../../charts/ChartPanel.tsx";
import type { ChartModel } from "../../charts/model.ts";
import type { Series, Totals } from "../../lib/api-types.ts";
import { seriesQuery, summaryQuery } from "../../lib/queries.ts";
import { useTimeNavigation } from "../../lib/time-navigation.tsx";
import { useUrlState } from "../../lib/use-url-state.ts";
import { AwayError } from "../../lib/api.ts";
import { Button } from "../../ui/Button.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { PANELS, percentileNote, UNGROUPED_METRICS, type Panel } from "./panels.ts";

function toModel(panel: Panel, series: Series, totals: Totals | undefined): ChartModel {
  const lines = panel.lines(series);
  return {
    kind: panel.kind,
    title: panel.title,
    unit: panel.unit,
    format: panel.format,
    t0: series.t0,
    step: series.step,
    completeUntil: series.complete_until,
    lines,
    isTime: panel.isTime,
    resting: Object.fromEntries(lines.map((line) => [line.key, totals ? panel.resting(totals, line.key) : null])),
    note: percentileNote(lines),
    ...(panel.n ? { n: { buckets: series.series[panel.n.metric]?.["all"] ?? [], range: totals ? panel.n.range(totals) : null } } : {}),
  };
}

interface PanelSkeletonProps {
  title: string;
  error: Error | null;
  onRetry: () => void;
}

/** The height of a finished panel, so that nothing moves when the data comes. */
function PanelSkeleton({ title, error, onRetry }: PanelSkeletonProps) {
  const failed = error !== null && !(error instanceof AwayError);
  return (
    <section className="h-[16.125rem] rounded-panel border border-line bg-surface px-3 pt-2" aria-busy={!failed}>
      <h2 className="h-6 text-13 font-semibold">{title}</h2>
      {failed ? (
        <div role="alert" className="flex h-48 flex-col items-center justify-center gap-3 text-center">
          <p className="text-ink-2">{error.message}</p>
          <Button onClick={onRetry}>Try again</Button>
        </div>
      ) : (
        <Skeleton className="mt-7 h-48" />
      )}
    </section>
  );
}

function PanelChart({ panel }: { panel: Panel }) {
  const { state, go } = useUrlState();
  const { zoomTo, zoomBack } = useTimeNavigation();
  // Panels without a grouping share one answer: the query is the same for all of them.
  const query = panel.by ? seriesQuery(state, panel.metrics, panel.by) : seriesQuery(state, UNGROUPED_METRICS);
  const { data: series, error, refetch } = useQuery(query);
  const { data: summary } = useQuery(summaryQuery(state, "model"));
  const model = useMemo(() => (series ? toModel(panel, series, summary?.total) : null), [panel, series, summary]);
  if (!model) {
    return <PanelSkeleton title={panel.title} error={error} onRetry={() => void refetch()} />;
  }
  return (
    <ChartPanel
      id={panel.id}
      model={model}
      logSwitch={panel.logSwitch}
      onDrill={(from, to, line) =>
        go("/requests", { range: { kind: "absolute", from, to }, filter: { ...state.filter, ...panel.drill(line?.key ?? null) } })
      }
      onZoom={zoomTo}
      onZoomBack={zoomBack}
    />
  );
}

export function Charts() {
  return (
    <div className="grid gap-3 tablet:grid-cols-2 wide:grid-cols-3">
      {PANELS.map((panel) => (
        <PanelChart key={panel.id} panel={panel} />
      ))}
    </div>
  );
}
