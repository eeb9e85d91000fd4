/** What uPlot does not draw: stacked bars, labels inside the plot, the bucket that is still filling. */
import type uPlot from "uplot";
import { bucketCount, bucketStart, isComplete, type ChartLine, type ChartModel } from "./model.ts";

export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const ratio = (): number => window.devicePixelRatio || 1;

/** Diagonal lines in `color` over a rectangle. */
function hatch(ctx: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, color: string): void {
  const gap = 5 * ratio();
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.strokeStyle = color;
  ctx.lineWidth = ratio();
  ctx.beginPath();
  for (let start = x - height; start < x + width; start += gap) {
    ctx.moveTo(start, y + height);
    ctx.lineTo(start + height, y);
  }
  ctx.stroke();
  ctx.restore();
}

/** Bars from the baseline up. What exists is at least a pixel and a half high, so that one error among thousands shows. */
export function drawBars(u: uPlot, model: ChartModel, lines: readonly ChartLine[]): void {
  const { ctx } = u;
  const floor = u.valToPos(0, "y", true);
  const surface = token("--surface");
  const colors = lines.map((line) => token(line.color));
  const least = 1.5 * ratio();
  const pitch = u.valToPos(bucketStart(model, 1), "x", true) - u.valToPos(bucketStart(model, 0), "x", true);
  const gap = pitch >= 4 * ratio() ? Math.round(ratio()) : 0;
  for (let at = 0; at < bucketCount(model); at += 1) {
    const left = Math.round(u.valToPos(bucketStart(model, at), "x", true));
    const right = Math.round(u.valToPos(bucketStart(model, at + 1), "x", true));
    const width = Math.max(1, right - left - gap);
    const partial = !isComplete(model, at);
    let base = floor;
    for (const [index, line] of lines.entries()) {
      const value = line.values[at] ?? 0;
      if (value <= 0) continue;
      const height = Math.max(least, floor - u.valToPos(value, "y", true));
      ctx.globalAlpha = partial ? 0.4 : 1;
      ctx.fillStyle = colors[index]!;
      ctx.fillRect(left, base - height, width, height);
      ctx.globalAlpha = 1;
      base -= height;
    }
    if (partial && base < floor) hatch(ctx, left, base, width, floor - base, surface);
  }
}

/** Lines fade out behind a hatched veil where the bucket is still filling. */
export function drawVeil(u: uPlot, model: ChartModel): void {
  const count = bucketCount(model);
  let first = count;
  while (first > 0 && !isComplete(model, first - 1)) first -= 1;
  if (first === count) return;
  const left = u.valToPos(bucketStart(model, first), "x", true);
  const { ctx } = u;
  ctx.save();
  ctx.globalAlpha = 0.6;
  ctx.fillStyle = token("--surface");
  const width = u.bbox.left + u.bbox.width - left;
  ctx.fillRect(left, u.bbox.top, width, u.bbox.height);
  ctx.globalAlpha = 1;
  hatch(ctx, left, u.bbox.top, width, u.bbox.height, token("--line"));
  ctx.restore();
}

/** Tick labels stand inside the plot, above their line; the data begins to the right of them. */
export function drawTickLabels(u: uPlot, ticks: readonly number[], format: (value: number) => string): void {
  const { ctx } = u;
  const scale = ratio();
  ctx.save();
  ctx.font = `${11 * scale}px "Inter Variable", system-ui, sans-serif`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  ctx.fillStyle = token("--text-3");
  for (const tick of ticks) {
    if (tick === 0) continue;
    ctx.fillText(format(tick), u.bbox.left, Math.round(u.valToPos(tick, "y", true)) - 2 * scale);
  }
  ctx.restore();
}

/** A line of one bucket has no length: only such lone values get a dot. */
export function lonePoints(values: readonly (number | null | undefined)[]): number[] {
  const alone: number[] = [];
  for (let at = 0; at < values.length; at += 1) {
    if (typeof values[at] === "number" && typeof values[at - 1] !== "number" && typeof values[at + 1] !== "number") alone.push(at);
  }
  return alone;
}
