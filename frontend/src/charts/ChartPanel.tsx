/** A chart over time with everything around it: question, unit, read-out, table twin, keyboard. */
import { Table2 } from "lucide-react";
import { lazy, Suspense, useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import * as fmt from "../lib/fmt.ts";
import { IconButton, TextToggle } from "../ui/Button.tsx";
import { useStored } from "../lib/use-stored.ts";
import { ChartReadout, when } from "./ChartReadout.tsx";
import { bucketAt, bucketCount, bucketStart, describe, hasData, type ChartLine, type ChartModel } from "./model.ts";
import { Plot, type PlotHandle } from "./Plot.tsx";

const ChartTable = lazy(() => import("./ChartTable.tsx"));

export interface ChartActions {
  /** The requests behind a bucket; with a layer only those of it. */
  onDrill: (from: number, to: number, line: ChartLine | null) => void;
  onZoom: (from: number, to: number) => void;
  onZoomBack: () => void;
}

interface ChartPanelProps extends ChartActions {
  id: string;
  model: ChartModel;
  logSwitch: boolean;
  height?: number;
}

/** One line hides the others on click; shift adds lines. */
function isolated(hidden: ReadonlySet<string>, keys: readonly string[], key: string, add: boolean): Set<string> {
  const shown = keys.filter((other) => !hidden.has(other));
  if (add) {
    const next = new Set(hidden);
    if (next.has(key)) next.delete(key);
    else if (shown.length > 1) next.add(key);
    return next;
  }
  const alone = shown.length === 1 && shown[0] === key;
  return new Set(alone ? [] : keys.filter((other) => other !== key));
}

export function ChartPanel({ id, model, logSwitch, height = 200, onDrill, onZoom, onZoomBack }: ChartPanelProps) {
  const [pointed, setPointed] = useState<number | null>(null);
  /** Start of the bucket that the keyboard is on, Unix ms: it stays there while the range moves on. */
  const [cursor, setCursor] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [log, setLog] = useStored(`weir.chart.${id}.log`, false);
  const plot = useRef<PlotHandle>(null);
  const titleId = useId();
  const lines = useMemo(() => model.lines.filter((line) => !hidden.has(line.key)), [model, hidden]);
  const sentence = useMemo(() => describe(model), [model]);
  const empty = !hasData(model);
  const hovered = pointed !== null && pointed < bucketCount(model) ? pointed : null;
  const at = cursor === null ? hovered : bucketAt(model, cursor);

  useEffect(() => {
    if (cursor !== null) plot.current?.pointAt(at);
  }, [cursor, at, model, lines, log, asTable]); // oxlint-disable-line react/exhaustive-effect-dependencies -- a new plot has no crosshair yet

  const drill = (bucket: number, line: ChartLine | null) =>
    onDrill(bucketStart(model, bucket), bucketStart(model, bucket + 1), line);

  const leave = () => {
    setCursor(null);
    setPointed(null);
    plot.current?.pointAt(null);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const last = bucketCount(model) - 1;
    const moves: Record<string, number> = {
      ArrowLeft: Math.max(0, (at ?? last + 1) - (event.shiftKey ? 10 : 1)),
      ArrowRight: Math.min(last, (at ?? -1) + (event.shiftKey ? 10 : 1)),
      Home: 0,
      End: last,
    };
    const to = moves[event.key];
    if (to !== undefined && last >= 0 && !asTable) {
      setCursor(bucketStart(model, to));
    } else if (event.key === "Enter" && at !== null && event.target === event.currentTarget) drill(at, null);
    else if (event.key === "t") setAsTable(!asTable);
    else if (event.key === "Escape" && at !== null) leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <section className="min-w-0 rounded-panel border border-line bg-surface px-3 pt-2 pb-1" aria-labelledby={titleId}>
      <header className="flex h-6 items-center gap-2">
        <h2 id={titleId} className="min-w-0 flex-1 truncate text-13 font-semibold">
          {model.title}
        </h2>
        <span className={`text-11 whitespace-nowrap ${at === null ? "text-ink-3" : "text-ink-2"}`}>
          {at === null ? `${model.unit}, ${fmt.span(model.step)} buckets` : when(model, at)}
        </span>
        {logSwitch && (
          <TextToggle pressed={log} onToggle={() => setLog(!log)} title="Logarithmic axis">
            log
          </TextToggle>
        )}
        <IconButton label={asTable ? "Show as chart" : "Show as table"} hint="t" pressed={asTable} onClick={() => setAsTable(!asTable)}>
          <Table2 size={14} strokeWidth={1.5} aria-hidden />
        </IconButton>
      </header>
      <ChartReadout model={model} at={at} hidden={hidden} onToggle={(key, add) => setHidden(isolated(hidden, model.lines.map((line) => line.key), key, add))} />
      {/* A figure with a cursor of its own: arrows move it, Enter opens the requests behind it. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- the chart's keyboard cursor */}
      <div
        role="figure"
        aria-label={sentence}
        tabIndex={0} // oxlint-disable-line jsx-a11y/no-noninteractive-tabindex -- the chart's keyboard cursor needs the focus
        className="relative rounded-control"
        onKeyDown={onKeyDown}
        onBlur={() => cursor !== null && leave()}
        onPointerMove={() => setCursor(null)}
      >
        {asTable ? (
          <Suspense fallback={<div style={{ height }} />}>
            <ChartTable model={model} height={height} onDrill={drill} />
          </Suspense>
        ) : (
          <Plot ref={plot} model={model} lines={lines} log={log && logSwitch} height={height} onPoint={setPointed} onPick={drill} onZoom={onZoom} onZoomBack={onZoomBack} />
        )}
        {empty && !asTable && (
          <p className="pointer-events-none absolute inset-0 grid place-items-center text-12 text-ink-3">No traffic in this range</p>
        )}
        <span className="sr-only" aria-live="polite">
          {cursor !== null && at !== null ? announce(model, at) : ""}
        </span>
      </div>
    </section>
  );
}

function announce(model: ChartModel, at: number): string {
  const values = model.lines.map((line) => `${line.label} ${model.format(line.values[at] ?? null)}`);
  return `${fmt.timeOfDay(bucketStart(model, at))}: ${values.join(", ")}`;
}
