/** The canvas of a chart over time. The only file that makes a uPlot. */
import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, type Ref } from "react";
import uPlot from "uplot";
import * as fmt from "../lib/fmt.ts";
import { useTheme } from "../lib/theme.ts";
import { drawBars, drawTickLabels, drawVeil, lonePoints, token } from "./draw.ts";
import { timeLabel, timeStep, timeTicksBetween } from "./time-axis.ts";
import { bucketCount, bucketStart, hasData, largest, linearTicks, logTicks, smallest, timeTicks, type ChartLine, type ChartModel } from "./model.ts";

export interface PlotHandle {
  /** Puts the shared crosshair on a bucket, or takes it away. */
  pointAt: (bucket: number | null) => void;
}

export interface PlotEvents {
  onPoint: (bucket: number | null) => void;
  /** A bucket was clicked; for stacked bars with the layer under the pointer. */
  onPick: (bucket: number, line: ChartLine | null) => void;
  onZoom: (from: number, to: number) => void;
  onZoomBack: () => void;
}

interface PlotProps extends PlotEvents {
  model: ChartModel;
  lines: readonly ChartLine[];
  log: boolean;
  height: number;
  ref?: Ref<PlotHandle>;
}

/** One crosshair for all charts of the page; drags stay with the chart they began on. */
const SYNC = uPlot.sync("weir");
const CLICK_WAIT_MS = 220;
const LEAST_DRAG_PX = 5;
/** Room for the tick labels, left of the data. */
const LABEL_PX = 36;
const TIME_LABEL_PX = 64;

/** The time scale begins a little before the first bucket: that strip holds the tick labels. */
function timeScale(model: ChartModel, width: number): [number, number] {
  const end = bucketStart(model, bucketCount(model));
  const label = ((end - model.t0) * LABEL_PX) / Math.max(1, width - LABEL_PX);
  return [model.t0 - label, end];
}

function timeAxis(model: ChartModel, width: number): { t0: number; step: number } {
  return { t0: model.t0, step: timeStep(bucketCount(model) * model.step, width - LABEL_PX, TIME_LABEL_PX) };
}

function plotData(model: ChartModel, lines: readonly ChartLine[], log: boolean): uPlot.AlignedData {
  const middle = Array.from({ length: bucketCount(model) }, (_, at) => bucketStart(model, at + 0.5));
  const shown = lines.map((line) => (log ? line.values.map((value) => (value !== null && value > 0 ? value : null)) : [...line.values]));
  return [middle, ...shown];
}

function lineUnder(u: uPlot, model: ChartModel, lines: readonly ChartLine[], bucket: number): ChartLine | null {
  if (model.kind !== "bars") return null;
  const y = u.cursor.top ?? 0;
  let sum = 0;
  for (const line of lines) {
    sum += line.values[bucket] ?? 0;
    if ((line.values[bucket] ?? 0) > 0 && u.valToPos(sum, "y") <= y) return line;
  }
  return null;
}

export function Plot({ model, lines, log, height, ref, ...events }: PlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const ticks = useMemo(() => {
    const top = largest(model, lines);
    if (log && top > 0) return logTicks(smallest(lines), top);
    return model.isTime ? timeTicks(top) : linearTicks(top, model.kind === "bars");
  }, [model, lines, log]);

  const current = useRef({ model, lines, ticks, events });
  useLayoutEffect(() => {
    current.current = { model, lines, ticks, events };
  });

  useImperativeHandle(ref, () => ({
    pointAt: (bucket) => {
      const u = plot.current;
      if (!u) return;
      const at = bucket === null ? -10 : u.valToPos(bucketStart(current.current.model, bucket + 0.5), "x");
      u.setCursor({ left: at, top: bucket === null ? -10 : 10 }, true);
      SYNC.pub("mousemove", u, at, 10, u.over.clientWidth, u.over.clientHeight, bucket ?? -1);
    },
  }));

  const shape = `${theme}|${model.kind}|${log}|${lines.map((line) => line.key + line.color).join()}`;
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const { model: first, lines: firstLines } = current.current;
    const bars = first.kind === "bars";
    let clickTimer: ReturnType<typeof setTimeout> | undefined;
    let dragged = false;
    const u = new uPlot(
      {
        width: element.clientWidth || 600,
        height,
        ms: 1,
        padding: [16, 0, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          sync: {
            key: SYNC.key,
            scales: ["x", null],
            filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true },
          },
          drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG_PX },
          points: bars ? { show: false } : { size: 7, width: 0, fill: (self, series) => String(self.series[series]!.stroke) },
          bind: {
            dblclick: () => () => {
              clearTimeout(clickTimer);
              current.current.events.onZoomBack();
              return null;
            },
          },
        },
        scales: {
          x: { time: true, range: (self) => timeScale(current.current.model, self.width) },
          y: {
            distr: log ? 3 : 1,
            range: () => [current.current.ticks[0]!, current.current.ticks.at(-1)!],
          },
        },
        axes: [
          {
            size: 22,
            gap: 6,
            font: '11px "Inter Variable", system-ui, sans-serif',
            stroke: token("--text-3"),
            grid: { show: false },
            ticks: { show: false },
            border: { show: true, stroke: token("--line-strong"), width: 1 },
            splits: (self) => {
              const { t0, step } = timeAxis(current.current.model, self.width);
              return timeTicksBetween(t0, bucketStart(current.current.model, bucketCount(current.current.model)), step);
            },
            values: (self, splits) => splits.map((at) => timeLabel(at, timeAxis(current.current.model, self.width).step)),
          },
          {
            size: 0,
            gap: 0,
            splits: () => current.current.ticks.slice(log ? 0 : 1),
            values: (_u, splits) => splits.map(() => ""),
            grid: { stroke: `${token("--text")}12`, width: 1 },
            ticks: { show: false },
          },
        ],
        series: [
          {},
          ...firstLines.map((line): uPlot.Series => {
            const color = token(line.color);
            return {
              stroke: color,
              width: 1.5,
              ...(line.dash ? { dash: line.dash } : {}),
              ...(bars ? { paths: () => null, points: { show: false } } : {}),
              ...(!bars ? { points: { show: true, size: 4, width: 0, fill: color, filter: (self, series) => lonePoints(Array.from(self.data[series]!)) } } : {}),
              ...(!bars && firstLines.length === 1 ? { fill: `${color}14` } : {}),
            };
          }),
        ],
        hooks: {
          draw: [
            (self) => {
              const now = current.current;
              if (bars) drawBars(self, now.model, now.lines);
              else drawVeil(self, now.model);
              if (hasData(now.model)) drawTickLabels(self, now.ticks, (value) => fmt.axis(now.model.format(value)));
              performance.mark("weir:chart-drawn");
            },
          ],
          setCursor: [(self) => current.current.events.onPoint(self.cursor.idx ?? null)],
          setSelect: [
            (self) => {
              if (self.select.width < LEAST_DRAG_PX) return;
              dragged = true;
              const { model: now, events: handlers } = current.current;
              const snap = (px: number, round: (value: number) => number) =>
                now.t0 + Math.max(0, round((self.posToVal(px, "x") - now.t0) / now.step)) * now.step;
              const from = snap(self.select.left, Math.floor);
              const to = snap(self.select.left + self.select.width, Math.ceil);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              handlers.onZoom(from, to);
            },
          ],
        },
      },
      plotData(first, firstLines, log),
      element,
    );
    plot.current = u;
    const onClick = () => {
      const wasDrag = dragged;
      dragged = false;
      const bucket = u.cursor.idx;
      if (wasDrag || bucket === null || bucket === undefined) return;
      const now = current.current;
      const line = lineUnder(u, now.model, now.lines, bucket);
      clearTimeout(clickTimer);
      clickTimer = setTimeout(() => current.current.events.onPick(bucket, line), CLICK_WAIT_MS);
    };
    u.over.addEventListener("click", onClick);
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== u.width) u.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      clearTimeout(clickTimer);
      observer.disconnect();
      plot.current = null;
      u.destroy();
    };
    // The plot is made anew when its shape changes; its data flows in below.
  }, [shape, height, log]); // oxlint-disable-line react/exhaustive-effect-dependencies -- see above

  useEffect(() => {
    plot.current?.setData(plotData(model, lines, log));
  }, [model, lines, log, shape]); // oxlint-disable-line react/exhaustive-effect-dependencies -- a new shape is a new plot

  return <div ref={host} className="w-full overflow-hidden" style={{ height }} />;
}
