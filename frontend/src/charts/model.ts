/** What a chart over time is made of, and the pure arithmetic around it. */
import * as fmt from "../lib/fmt.ts";

export interface ChartLine {
  key: string;
  label: string;
  /** Name of a colour token, such as `--s1`. */
  color: string;
  dash?: number[];
  values: readonly (number | null)[];
}

export interface ChartModel {
  kind: "bars" | "lines";
  title: string;
  unit: string;
  format: (value: number | null) => string;
  /** Start of the first bucket and length of each, Unix ms and ms. */
  t0: number;
  step: number;
  /** Buckets that end after this are still filling. */
  completeUntil: number;
  lines: readonly ChartLine[];
  /** Values of the whole range by line: what the read-out shows while nothing is pointed at. */
  resting: Readonly<Record<string, number | null>>;
  /** Values are milliseconds: the axis counts in seconds and minutes. */
  isTime: boolean;
  /** How many requests stand behind each bucket's percentiles, and behind those of the whole range. */
  n?: { buckets: readonly (number | null)[]; range: number | null };
  /** Something the reader must know, such as why a line is missing. */
  note?: string | null;
}

export const bucketCount = (model: ChartModel): number => model.lines[0]?.values.length ?? 0;
export const bucketStart = (model: ChartModel, at: number): number => model.t0 + at * model.step;
/** The bucket that a time lies in, or null outside of the range. */
export function bucketAt(model: ChartModel, time: number): number | null {
  const at = Math.floor((time - model.t0) / model.step);
  return at >= 0 && at < bucketCount(model) ? at : null;
}
export const isComplete = (model: ChartModel, at: number): boolean => bucketStart(model, at + 1) <= model.completeUntil;

export function hasData(model: ChartModel): boolean {
  return model.lines.some((line) => line.values.some((value) => (model.kind === "bars" ? (value ?? 0) > 0 : value !== null)));
}

/** Sum over the lines of each bucket, for the height of stacked bars. */
export function stackTotals(lines: readonly ChartLine[]): number[] {
  const length = lines[0]?.values.length ?? 0;
  return Array.from({ length }, (_, at) => lines.reduce((sum, line) => sum + (line.values[at] ?? 0), 0));
}

export function largest(model: ChartModel, lines: readonly ChartLine[]): number {
  let top = 0;
  if (model.kind === "bars") for (const total of stackTotals(lines)) top = Math.max(top, total);
  else for (const line of lines) for (const value of line.values) top = Math.max(top, value ?? 0);
  return top;
}

export function smallest(lines: readonly ChartLine[]): number {
  let low = Infinity;
  for (const line of lines) for (const value of line.values) if (value !== null && value > 0) low = Math.min(low, value);
  return low;
}

const TIME_STEPS = [15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];

/** Round steps of time from zero to at least `top` milliseconds. */
export function timeTicks(top: number): number[] {
  const step = TIME_STEPS.find((candidate) => candidate * 4 >= top);
  if (top < 45_000 || !step) return linearTicks(top, false);
  return Array.from({ length: Math.ceil(top / step) + 1 }, (_, at) => at * step);
}

/** Round steps from zero to at least `top`, about four of them. */
export function linearTicks(top: number, whole: boolean): number[] {
  const raw = (top > 0 ? top : 1) / 4;
  const size = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * size >= raw * 0.999) ?? 10;
  const step = whole ? Math.max(1, Math.ceil(factor * size)) : factor * size;
  const ticks = [0];
  while (ticks.at(-1)! < (top > 0 ? top : 1)) ticks.push(Number((ticks.length * step).toPrecision(12)));
  return ticks;
}

/** Powers of ten that enclose the values, with 2 and 5 between them when they span little. */
export function logTicks(low: number, top: number): number[] {
  const from = Math.floor(Math.log10(Math.max(low, 1e-6)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(top, 1e-6))));
  const between = to - from <= 2 ? [1, 2, 5] : [1];
  const all: number[] = [];
  for (let power = from; power <= to; power += 1) for (const part of between) all.push(Number((part * 10 ** power).toPrecision(6)));
  const first = all.findLastIndex((tick) => tick <= low);
  const last = all.findIndex((tick) => tick >= top);
  return all.slice(Math.max(0, first), last < 0 ? undefined : Math.max(last, Math.max(0, first) + 1) + 1);
}

/** The chart in one sentence, for those who do not see it. */
export function describe(model: ChartModel): string {
  if (!hasData(model)) return `${model.title}: no traffic in this range.`;
  if (model.kind === "bars") {
    const totals = stackTotals(model.lines);
    const peak = totals.indexOf(Math.max(...totals));
    const parts = model.lines
      .map((line) => ({ label: line.label, total: line.values.reduce<number>((sum, value) => sum + (value ?? 0), 0) }))
      .filter((part) => part.total > 0)
      .map((part) => `${fmt.count(part.total)} ${part.label}`);
    return `${model.title}: ${parts.join(", ")}. Most at ${fmt.timeOfDay(bucketStart(model, peak))} with ${fmt.count(totals[peak] ?? 0)} in ${fmt.span(model.step)}.`;
  }
  const parts = model.lines.flatMap((line) => {
    const known = line.values.filter((value) => value !== null);
    if (known.length === 0) return [];
    const top = Math.max(...known);
    const at = line.values.indexOf(top);
    return [`${line.label} ${model.format(Math.min(...known))} to ${model.format(top)}, peak ${fmt.timeOfDay(bucketStart(model, at))}`];
  });
  return `${model.title}: ${parts.join("; ")}.`;
}
